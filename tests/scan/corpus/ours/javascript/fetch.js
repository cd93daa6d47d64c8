const API = process.env.API || 'https://api.sourcecraft.tech';

export async function trigger(org, repo, workflow) {
  const answer = await fetch(`${API}/${org}/${repo}/ci_workflows/${encodeURIComponent(workflow)}/trigger`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env.TOKEN}` },
    body: JSON.stringify({}),
  });
  const { flux_public_id: run } = await answer.json();
  return run;
}

export const runs = (org, repo) => fetch(`${API}/${org}/${repo}/cicd/runs`).then((answer) => answer.json());
