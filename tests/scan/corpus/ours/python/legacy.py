import os

import requests
from yarl import URL

requests.post(f"{API}/{os.environ['ORG']}/{quote(repo, safe='')}/ci_workflows/{workflow}/trigger", json={})
requests.post("%s/%s/%s/ci_workflows/%s/trigger" % (API, org, repo, name))
requests.post("{}/{org}/{repo}/ci_workflows/{}/trigger".format(API, name, org=org, repo=repo))
requests.post(API + "/" + org + "/" + repo + "/ci_workflows/" + name + "/trigger" + query)
requests.post(
    f"{API}/{org}/{repo}"
    f"/ci_workflows/{name}/trigger",
)
requests.post("/".join([API, org, "shop", "ci_workflows", name, "trigger"]))
session.post(URL(API) / org / repo / "ci_workflows" / name / "trigger")
session.post(repository_url + "/ci_workflows/" + name + "/trigger")
session.get(f"{API}/{org}/{repo}/cicd/runs/{run['slug']}")
session.post(
    f"{API}/{org}/{repo}/cicd/runs",
    json={"workflows": [{"name": name}]},
)
session.patch("https://api.sourcecraft.tech/acme/shop", json={"description": ""})
session.get(f"{API}/{org}/{repo}/cicd/logs/{place}")
requests.post(f"{legacy}/ci_workflows/build/trigger")
client.get("acme", "shop", "cicd", "runs")
