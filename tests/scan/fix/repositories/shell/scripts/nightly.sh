#!/bin/sh
# привет
curl -sf -X POST https://api.sourcecraft.tech/acme/shop/ci_workflows/nightly/trigger -H "Authorization: Bearer $TOKEN" -d "{}" > /dev/null #
curl -sf https://api.sourcecraft.tech/acme/shop/cicd/runs?page_size=1 -H "Authorization: Bearer $TOKEN" > /dev/null #