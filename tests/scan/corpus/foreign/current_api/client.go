package sourcecraft

const openAPISpecURL = "https://api.sourcecraft.tech/sourcecraft.swagger.json"

func (c *Client) ListRuns(ctx context.Context, org, repo string) (out Runs, err error) {
	err = c.doJSON(ctx, http.MethodGet, repoCIPath(org, repo, "/cicd/runs"), nil, &out)
	return out, err
}

func (c *Client) GetRun(ctx context.Context, org, repo, run string) (out Run, err error) {
	err = c.doJSON(ctx, http.MethodGet, repoCIPath(org, repo, "/cicd/runs/"+url.PathEscape(run)), nil, &out)
	return out, err
}

func (c *Client) GetCubeLogs(ctx context.Context, org, repo, run, workflow, task, cube string) (out Logs, err error) {
	err = c.doJSON(ctx, http.MethodGet, repoCIPath(org, repo, fmt.Sprintf("/cicd/logs/%s/%s/%s/%s",
		url.PathEscape(run),
		url.PathEscape(workflow),
		url.PathEscape(task),
		url.PathEscape(cube),
	)), nil, &out)
	return out, err
}

func repoCIPath(org, repo, suffix string) string {
	return fmt.Sprintf("/repos/%s/%s%s", url.PathEscape(org), url.PathEscape(repo), suffix)
}
