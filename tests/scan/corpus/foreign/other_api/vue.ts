export const Route = createFileRoute("/cicd/runs")({ component: CicdRunsPage });
const routes = ['/cicd/projects', '/cicd/builds', '/cicd/logs', '/cicd/tasks'];
import RunsPane from '../../src/components/cicd/RunsPane.vue';

export const runs = {
  async list(limit = 50) {
    return (await apiClient.get(`/cicd/runs?limit=${limit}`)).data;
  },
  async one(id: string) {
    return (await apiClient.get(`/cicd/runs/${id}`)).data;
  },
  steps: (id: string) => apiClient.get(`${BASE}/cicd/runs/${id}/steps`),
};
