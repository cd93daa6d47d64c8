fun runWorkflow(name: String) = conductor.startWorkflow(name)
