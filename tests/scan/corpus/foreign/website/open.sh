SITE=https://sourcecraft.dev
xdg-open "$SITE/$ORG/$REPO/cicd/runs"
