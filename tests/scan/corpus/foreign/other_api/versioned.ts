const list = (team: string, app: string) => http.get(`/api/v2/${team}/${app}/cicd/runs`);
const one = (team: string, app: string, run: string) => http.get(`${API_URL}/v1/${team}/${app}/cicd/runs/${run}`);
