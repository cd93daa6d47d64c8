package cli

func WorkflowRun(orgSlug, repoSlug, workflowID string, inputs map[string]any) {
	path := fmt.Sprintf("/%s/%s/ci_workflows/%s/trigger", orgSlug, repoSlug, workflowID)
	result, err := DoRequest("POST", path, body)
	Ensure(err)
	fmt.Println(result["flux_id"])
}

func WorkflowRunOfRepos(orgSlug, repoSlug, workflowID string) {
	path := fmt.Sprintf("repos/%s/%s/ci_workflows/%s/trigger", orgSlug, repoSlug, workflowID)
	result, err := DoRequest("POST", path, body)
}
