from sourcecraft_client.api.withdrawn_api import WithdrawnApi

api = WithdrawnApi(client)
api.run_workflows_deprecated("acme", "shop", body)
for run in api.list_runs_deprecated("acme", "shop").runs:
    print(api.get_run_deprecated_with_http_info("acme", "shop", run.slug))
