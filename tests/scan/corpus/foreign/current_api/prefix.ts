const api = 'https://api.sourcecraft.tech';
const repo = `${api}/repos/${org}/${slug}`;
export const runs = () => fetch(`${repo}/cicd/runs`);
