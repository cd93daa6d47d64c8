import httpx

API = "https://api.sourcecraft.tech"


def start(org, repo, body):
    return httpx.post(f"{API}/repos/{org}/{repo}/cicd/runs", json=body).json()["slug"]


def runs(org, repo):
    return httpx.get(f"{API}/repos/{org}/{repo}/cicd/runs").json()


def delete(repo_id):
    return httpx.delete(f"{API}/repos/id:{repo_id}")
