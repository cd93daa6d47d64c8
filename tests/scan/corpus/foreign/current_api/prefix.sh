REPO_URL=https://api.sourcecraft.tech/repos/acme/shop
curl "$REPO_URL/cicd/runs"
curl "$REPO_URL/cicd/runs/$RUN"
