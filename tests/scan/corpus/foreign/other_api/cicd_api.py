import requests

API = "https://deploy.example.com/api"


def runs(team, service):
    return requests.get(f"{API}/{team}/{service}/cicd/runs").json()


def logs(team, service, run):
    return requests.get(f"https://deploy.example.com/{team}/{service}/cicd/logs/{run}/a/b/c").text
