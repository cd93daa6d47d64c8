import axios from 'axios';

const client = axios.create({ baseURL: 'https://api.sourcecraft.tech' });

export const start = (org, repo, body) => client.post(`/${org}/${repo}/cicd/runs`, body);
export const run = (org, repo, slug) => client.get(`/${org}/${repo}/cicd/runs/${slug}`);
export const drop = (slug) => axios.delete(`https://api.sourcecraft.tech/acme/${slug}`);
