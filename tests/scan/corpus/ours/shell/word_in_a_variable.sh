#!/bin/sh
P=ci_workflows
curl -X POST "$API/$ORG/$REPO/$P/build/trigger"
