server.tool('run_workflow', schema, async ({ workflowName, initialArgs }) => {
  const context = { owner: session.owner, organization: session.organization };
  const result = await engine.runWorkflow(workflowName, initialArgs || {}, context);
  return textResult(result);
});
