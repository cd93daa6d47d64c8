api="https://api.sourcecraft.tech"
curl -X POST ${api}/${org:-acme}/${repo}/ci_workflows/${workflow}/trigger --json '{}'
