#!/bin/sh
API=https://api.sourcecraft.tech
RUN=$(curl -sS -X POST "$API/acme/shop/ci_workflows/build/trigger" -H "Authorization: Bearer $TOKEN" -d '{}' |
  jq -r .flux_public_id)
echo "started $RUN"
until curl -s "$API/acme/shop/cicd/runs/$RUN" | jq -e '.status == "success"' > /dev/null; do sleep 5; done
