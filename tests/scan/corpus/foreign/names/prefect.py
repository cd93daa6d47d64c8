def run_workflow(workflow_name: str, **values):
    flow = flows[workflow_name]
    return flow(**values)


run_workflow("build", target="linux")
