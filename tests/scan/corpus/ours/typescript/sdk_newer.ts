import { WithdrawnApi } from './generated';

const api = new WithdrawnApi();
await api.runWorkflowsDeprecated({ orgSlug, repoSlug });
await api.listRunsDeprecated({ orgSlug, repoSlug });
await api.getRunDeprecated({ orgSlug, repoSlug, run });
await api.getWorkflowDeprecated({ orgSlug, repoSlug, run, workflow });
await api.getCubeLogsDeprecated({ orgSlug, repoSlug, run, workflow, task, cube });
await api.getCubeArtifactsDeprecatedRaw({ orgSlug, repoSlug, run, workflow, task, cube });
await api.updateRepositoryDeprecated({ orgSlug, repoSlug });
await api.deleteRepositoryDeprecated({ orgSlug, repoSlug });
