#!/usr/bin/env bash
set -euo pipefail
# Start the nightly build.
curl --fail --silent -X POST "https://api.sourcecraft.tech/acme/shop/ci_workflows/nightly/trigger" \
  -H "Authorization: Bearer $SOURCECRAFT_TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"revision": "main"}'
