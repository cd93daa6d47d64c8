curl -X POST --fail -F token="$TOKEN" -F ref=main "https://gitlab.example.com/api/v4/projects/9/trigger/pipeline" |
  jq -r .trigger_status
