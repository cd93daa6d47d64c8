API=https://api.sourcecraft.tech
REPO=repos/acme/shop
curl -X POST "$API/repos/acme/shop/cicd/runs" -d '{"workflows":[{"name":"build"}]}' | jq -r .slug
curl "$API/$REPO/cicd/runs"
curl -X DELETE "$API/repos/acme/old-shop"
