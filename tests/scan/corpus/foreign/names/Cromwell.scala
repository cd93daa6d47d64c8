class WorkflowRunner { def runWorkflow(source: String): Future[WorkflowId] = submit(source) }
