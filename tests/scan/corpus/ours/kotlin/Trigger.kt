private const val API = "https://api.sourcecraft.tech"

suspend fun trigger(org: String, repo: String, workflow: String) =
    client.post("$API/$org/$repo/ci_workflows/${workflow.encodeURLPathPart()}/trigger") { setBody("{}") }

suspend fun runs(org: String, repo: String) = client.get("$API/$org/$repo/cicd/runs")
