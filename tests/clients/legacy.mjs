// A legacy tool with Node's fetch: node legacy.mjs BASE
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";

const base = process.argv[2];
let runs = 0;

async function call(url, options = {}) {
  const headers = { Authorization: `Bearer ${process.env.SOURCECRAFT_TOKEN}`, ...options.headers };
  const answer = await fetch(url, { ...options, headers, signal: AbortSignal.timeout(20_000) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer;
}

async function post(url, body) {
  runs += 1;
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  return (await call(url, { method: "POST", headers, body: body && JSON.stringify(body) })).json();
}

async function list(repository) {
  const listed = [];
  let token = "";
  do {
    const query = new URLSearchParams({ page_size: "2", page_token: token });
    const page = await (await call(`${repository}/cicd/runs?${query}`)).json();
    listed.push(...page.runs);
    token = page.next_page_token;
  } while (token);
  assert.equal(listed.length, runs);
}

async function follow(repository, slug) {
  let run;
  do {
    run = await (await call(`${repository}/cicd/runs/${slug}`)).json();
  } while (["created", "prepared", "processing"].includes(run.status));
  assert.equal(run.status, "success");
  const workflow = await (await call(`${repository}/cicd/runs/${slug}/${run.workflows[0].slug}`)).json();
  const cube = [slug, workflow.slug, workflow.tasks[0].slug, workflow.tasks[0].cubes[0].slug].join("/");
  let logs = { done: false };
  for (let page = 1; !logs.done; page += 1) {
    logs = await (await call(`${repository}/cicd/logs/${cube}?page=${page}`)).json();
  }
  const { artifacts } = await (await call(`${repository}/cicd/artifacts/${cube}`)).json();
  const content = gunzipSync(Buffer.from(await (await call(artifacts[0].download_url)).arrayBuffer()));
  assert.ok(content.toString("latin1").startsWith(`built by run ${slug}\n`));
}

const legacy = `${base}/acme/shop`;
await list(legacy);
const triggered = await Promise.all([
  post(`${legacy}/ci_workflows/build/trigger`, { revision: null, workflow_slug: "build" }),
  post(`${legacy}/ci_workflows/${encodeURIComponent("release/prod")}/trigger`),
  post(`${base}/repos/${encodeURIComponent("id:42")}/ci_workflows/build/trigger`, {}),
]);
assert.deepEqual(new Set(triggered.map((answer) => answer.trigger_status)), new Set(["created"]));
await follow(legacy, triggered[0].flux_public_id);
await list(legacy);

const current = `${base}/repos/acme/shop`;
const run = await post(`${current}/cicd/runs`, { workflows: [{ name: "build" }] });
await follow(current, run.slug);
await list(current);
console.log(`OK ${runs}`);
