HOST=https://builds.example.org
curl "$HOST/$TEAM/$APP/cicd/runs"
curl -X POST "$HOST/$TEAM/$APP/cicd/runs" -d '{}'
