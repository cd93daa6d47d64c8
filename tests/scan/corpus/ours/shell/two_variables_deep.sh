BASE=${BASE:-https://api.sourcecraft.tech}
REPOSITORY=$BASE/acme/shop
WORKFLOWS=${REPOSITORY}/ci_workflows
http POST "$WORKFLOWS/release%2Fprod/trigger" "Authorization: Bearer $TOKEN" revision=main
