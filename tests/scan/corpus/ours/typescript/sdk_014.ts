import { CICDApi, Configuration } from '@me/sourcecraft-sdk';

const cicd = new CICDApi(new Configuration({ accessToken: process.env.TOKEN }));
export const start = () => cicd.runWorkflows({ orgSlug: 'acme', repoSlug: 'shop', runWorkflowsBody: {} });
export const runs = () => cicd.listRuns({ orgSlug: 'acme', repoSlug: 'shop' });
