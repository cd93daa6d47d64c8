@echo off
set API=https://api.sourcecraft.tech
set WF=%API%/acme/shop/ci_workflows
curl -X POST %WF%/build/trigger ^
  -H "Authorization: Bearer %TOKEN%" ^
  -d "{}"
