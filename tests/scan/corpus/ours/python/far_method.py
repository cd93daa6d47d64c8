RUNS = "https://api.sourcecraft.tech/{org}/{repo}/cicd/runs"


def runs(org, repo):
    return get(RUNS.format(org=org, repo=repo))


def start(org, repo, body):
    return post(RUNS.format(org=org, repo=repo), body)
