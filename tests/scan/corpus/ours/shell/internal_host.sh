curl -X POST http://trigger-shim:8080/acme/shop/ci_workflows/build/trigger -d '{}'
curl http://trigger-shim:8080/acme/shop/cicd/runs
curl http://localhost:8080/acme/shop/cicd/runs
