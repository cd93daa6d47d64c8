curl -G "$API/$ORG/$REPO/cicd/runs" -d page_size=10
curl -s "$API/$ORG/$REPO/cicd/runs" -d '{"workflows": [{"name": "build"}]}'
curl -s "$API/$ORG/$REPO/cicd/runs"
