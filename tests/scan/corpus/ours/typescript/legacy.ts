const url = `${this.baseUrl}/${org}/${repo}/ci_workflows/${encodeURIComponent(name)}/trigger`;
const nested = `${api}/${org}/${repo}/ci_workflows/${encodeURIComponent(`release/${env}`)}/trigger`;
const joined = base + '/' + org + '/' + repo +
  '/ci_workflows/' + name + '/trigger';
const minified={m(){return"/acme/shop/ci_workflows/build/trigger"}};
router.post('/:org/:repo/ci_workflows/:workflow/trigger', handler);
await fetch(`${api}/${org}/${repo}/cicd/runs`, {
  method: 'POST',
});
await http.get(`acme/shop/cicd/runs/${run}`);
await axios.delete(`https://api.sourcecraft.tech/${org}/${repo}`);
await cicd.runWorkflow({ orgSlug, repoSlug, workflowName });
await cicd.runWorkflowByID({ repoId, runCIBody });
const escaped = "{\"path\": \"\/acme\/shop\/ci_workflows\/build\/trigger\"}";
