const API = '/api';
fetch(`${API}/${tenantId}/cicd/runs`);
fetch(`${baseUrl}/${tenantId}/cicd/runs/${id}`);
