#!/bin/sh
answer=$(./start-build.sh)
case $(printf '%s' "$answer" | jq -r '.trigger_status') in
created) echo started ;;
already_exists) echo "runs already" ;;
esac
