async function runWorkflow(prompt) { return api.queuePrompt(0, prompt); }
document.querySelector('#run').onclick = () => runWorkflow(graph.serialize());
