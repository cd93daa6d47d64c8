def start(api, body):
    return api.run_workflow(
        "acme",
        "shop",
        "build",
        run_ci_body=body,
    )
