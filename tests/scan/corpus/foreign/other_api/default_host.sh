curl "${BUILDS_URL:-https://builds.example.org}/$TEAM/$APP/cicd/runs"
