package legacy

var (
	formatted = fmt.Sprintf("%s/%s/%s/ci_workflows/%s/trigger", api, org, repo, url.PathEscape(name))
	joined, _ = url.JoinPath(api, org, repo, "ci_workflows", name, "trigger")
	request, _ = http.NewRequest(http.MethodPatch, "https://api.sourcecraft.tech/"+org+"/"+repo, body)
	run = api + "/" + org + "/" + repo + "/cicd/runs/" + slug
)
