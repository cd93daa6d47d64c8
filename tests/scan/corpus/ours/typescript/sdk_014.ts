import { CIApi } from '@sourcecraft/sdk';

export const start = (ci: CIApi) => ci.runWorkflows({ orgSlug: 'acme', repoSlug: 'shop', runWorkflowsBody: {} });
