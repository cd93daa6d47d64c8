RUNS=$API/$ORG/$REPO/cicd/runs

start() {
  curl -X POST "$RUNS" -d "$1"
}

list() {
  curl "$RUNS"
}
