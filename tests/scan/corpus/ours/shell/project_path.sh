curl -s "$API/$CI_PROJECT_PATH/cicd/runs"
curl -s "https://api.sourcecraft.tech/$PROJECT/cicd/runs"
