#!/bin/sh
# Starts a deployment, waits until it is there, and prints its number.
set -eu
API=https://api.sourcecraft.tech

answer=$(curl -fsS -X POST "$API/acme/shop/ci_workflows/deploy/trigger" \
  -H "Authorization: Bearer $TOKEN" \
  -d "{\"revision\": \"$BRANCH\"}")
run=$(printf '%s' "$answer" | jq -er '.flux_public_id')

until [ "$(curl -fsS "$API/acme/shop/cicd/runs/$run" -H "Authorization: Bearer $TOKEN" | jq -r .status)" = success ]; do :; done
echo "$run"
