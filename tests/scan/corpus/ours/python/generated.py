from sourcecraft_client import ApiClient, CIApi, RunCIBody

api = CIApi(ApiClient())
answer = api.run_workflow("acme", "shop", "build", run_ci_body=RunCIBody(revision="main"))
print(answer.flux_public_id)
