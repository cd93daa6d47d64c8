// The legacy trigger in njs.

function revision(text) {
  if (!text) return undefined;
  if (text.startsWith('tags:')) return {tag: text.slice(5)};
  return /^[0-9a-f]{40}$/i.test(text) ? {commit: text} : {branch: text};
}

function answer(call, status, text) {
  call.headersOut['Content-Type'] = 'application/json';
  call.return(status, text);
}

async function call(r) {
  let legacy = {};
  try {
    if (r.requestText) legacy = JSON.parse(r.requestText);
  } catch (error) {
    return answer(r, 400, JSON.stringify({error_code: 'InvalidBody', message: 'The body is not JSON.'}));
  }
  const name = decodeURIComponent(r.variables.workflow);
  const body = {workflows: [{name, values: (legacy.input && legacy.input.values) || []}]};
  const head = revision(legacy.revision), config = revision(legacy.workflow_revision);
  if (head) body.head = head;
  if (config) body.config_revision = config;
  const successor = `/service/repos/${r.variables.org}/${r.variables.repo}/cicd/runs`;
  const got = await r.subrequest(successor, {method: 'POST', body: JSON.stringify(body)});
  if (got.status != 200) return answer(r, got.status, got.responseText);
  const run = JSON.parse(got.responseText);
  const legacyRun = {flux_id: run.id || run.slug, flux_public_id: run.slug, trigger_status: 'created'};
  answer(r, 200, JSON.stringify(legacyRun));
}

export default {call};
