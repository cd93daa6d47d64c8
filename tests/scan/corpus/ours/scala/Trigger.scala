val api = "https://api.sourcecraft.tech"
basicRequest.post(uri"$api/$org/$repo/ci_workflows/$workflow/trigger").body("{}").send(backend)
basicRequest.get(uri"$api/$org/$repo/cicd/runs").send(backend)
