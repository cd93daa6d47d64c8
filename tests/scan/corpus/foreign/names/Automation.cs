public Task RunWorkflow(Guid id) => engine.StartAsync(id);
public Task RunWorkflowAsync(Guid id) => RunWorkflow(id);
