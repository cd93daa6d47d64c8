#!/bin/sh
curl -X POST "$API"/"$ORG"/"$REPO"/ci_workflows/build/trigger
curl -X POST 'https://api.sourcecraft.tech/'"$ORG"'/shop/ci_workflows/'"${NAME// /%20}"'/trigger?wait=1'
curl -X POST "$API/repos/id:$REPO_ID/ci_workflows/build/trigger"
curl -X POST "$API/repos/id%3A42/ci_workflows/ship%20it/trigger"
url=${URL:-https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger}
runs=$(curl -s "$API/$ORG/$REPO/cicd/runs")
curl -s "$API/$ORG/$REPO/cicd/runs" -H 'Content-Type: application/json' -d '{"workflows":[]}'
curl -s "$API/$ORG/$REPO/cicd/logs/$RUN/build/test/$CUBE?page=2"
curl https://api.sourcecraft.tech/acme/shop \
  -H "Authorization: Bearer $TOKEN" \
  -X DELETE
curl https://oauth2:s3cret@api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger
curl -s "$SC/acme/$REPO/cicd/runs"; curl -s -X GET "$SC/acme/shop/cicd/runs"
cat <<END
"/acme/shop/ci_workflows/a/trigger"
"/acme/shop/ci_workflows/b/trigger"
END
