#!/bin/sh
# What comes before and after is somewhere else.
start() { ./post "$1/trigger"; }
start /acme/shop/ci_workflows/build
curl -s "$REPO_URL/cicd/runs"
