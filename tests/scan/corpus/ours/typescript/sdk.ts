import { CIApi, Configuration, RunCIBody } from '@sourcecraft/sdk';

const ci = new CIApi(new Configuration({ basePath: 'https://api.sourcecraft.tech' }));
const body: RunCIBody = { revision: 'main' };
const { data } = await ci.runWorkflow('acme', 'shop', 'build', body);
console.log(data.fluxPublicId, data.triggerStatus);
