REPO_URL=https://api.sourcecraft.tech/acme/shop
CALL=/ci_workflows/build/trigger
wget --post-data='{}' --header="Authorization: Bearer $TOKEN" "$REPO_URL$CALL"
curl "$REPO_URL/cicd/runs?page_size=1"
