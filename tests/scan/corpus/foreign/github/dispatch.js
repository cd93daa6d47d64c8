await octokit.actions.createWorkflowDispatch({ owner, repo, workflow_id: 'build.yml', ref: 'main' });
await fetch(`https://api.github.com/repos/${owner}/${repo}/actions/runs`);
