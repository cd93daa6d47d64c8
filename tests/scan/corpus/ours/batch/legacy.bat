@echo off
curl -X POST %API%/%ORG%/shop/ci_workflows/%NAME%/trigger
