curl -X POST "$API/repos/id:$REPO_ID/ci_workflows/build/trigger" -d @- <<JSON
{"revision": "$BRANCH", "input": {"values": [{"name": "target", "value": "$TARGET"}]}}
JSON
