#!/bin/sh
# A legacy tool with curl: sh legacy.sh BASE
set -eu
base=$1
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
runs=0

call() {
  curl --fail --silent --show-error --max-time 20 -H "Authorization: Bearer $SOURCECRAFT_TOKEN" "$@"
}

field() { # the first one of that name
  grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

list() {
  token=
  listed=0
  while :; do
    page=$(call --get "$1/cicd/runs" -d page_size=2 --data-urlencode "page_token=$token")
    listed=$((listed + $(printf %s "$page" | grep -o '"event_type"' | wc -l)))
    token=$(printf %s "$page" | field next_page_token)
    [ -n "$token" ] || break
  done
  [ "$listed" -ge "$runs" ]
}

follow() { # REPOSITORY RUN
  status=created
  while [ "$status" != success ]; do
    case $status in created | prepared | processing) sleep 0.01 ;; *) exit 1 ;; esac
    status=$(call "$1/cicd/runs/$2" | field status)
  done
  workflow=$(call "$1/cicd/runs/$2/build")
  cube="$2/build/$(printf %s "$workflow" | grep -o '"tasks":.*' | field slug)/$(printf %s "$workflow" | grep -o '"cubes":.*' | field slug)"
  page=1
  until call --get "$1/cicd/logs/$cube" -d page=$page | tee -a "$work/logs" | grep -q '"done":true'; do
    page=$((page + 1))
  done
  call --output "$work/artifact.gz" "$(call "$1/cicd/artifacts/$cube" | field download_url)"
  gunzip "$work/artifact.gz"
  [ "$(head -n 1 "$work/artifact")" = "built by run $2" ]
  rm "$work/artifact"
}

shop=$base/acme/shop
list "$shop"
run=$(call -X POST "$shop/ci_workflows/build/trigger" -d '{"revision":"main","input":{"values":[{"name":"env","value":"staging"}]}}' | field flux_public_id)
runs=$((runs + 1))
follow "$shop" "$run"
for path in "acme/shop/ci_workflows/release%2Fprod" repos/id:42/ci_workflows/build; do
  [ "$(call -X POST "$base/$path/trigger" | field trigger_status)" = created ]
  runs=$((runs + 1))
done
list "$shop"

shop=$base/repos/acme/shop
run=$(call "$shop/cicd/runs" -H 'Content-Type: application/json' -d '{"workflows":[{"name":"build"}],"head":{"tag":"v1.0.0"}}' | field slug)
runs=$((runs + 1))
follow "$shop" "$run"
list "$shop"
echo "OK $runs"
