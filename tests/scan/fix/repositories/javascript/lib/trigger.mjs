// Starts runs of the shop, for the release script.
const api = process.env.SOURCECRAFT_API ?? "https://api.sourcecraft.tech";
const token = process.env.TOKEN;

export async function start(workflow, branch, inputs) {
  const response = await fetch(`${api}/acme/shop/ci_workflows/${workflow}/trigger`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      revision: branch,
      input: { values: Object.entries(inputs).map(([name, value]) => ({ name, value })) },
    }),
  });
  if (!response.ok) throw new Error(`${response.status}`);
  const run = await response.json();
  return run.flux_public_id;
}

async function nightly() {
  await fetch("https://api.sourcecraft.tech/acme/shop/ci_workflows/nightly/trigger", {
    method: 'POST', headers: { Authorization: 'Bearer ' + token }, body: JSON.stringify({}),
  });
}

const run = await start("build", "main", { who: "it's `me`", price: "5 $" });
await nightly();
const shown = await fetch(`https://api.sourcecraft.tech/acme/shop/cicd/runs/${run}`, { headers: { Authorization: `Bearer ${token}` } });
console.log((await shown.json()).slug);
