export const start = (client: Client) =>
  client.runWorkflow({ orgSlug: 'acme', repoSlug: 'shop', workflowName: 'build', body: {} });
export const byId = (client: Client) => client.runWorkflowByID({ repoId: '1', workflowName: 'build' });
