package gitea

func runs(owner, repo string) string {
	return fmt.Sprintf("%s/api/v1/repos/%s/%s/actions/runs", base, owner, repo)
}

func cicd(owner, repo string) string {
	return fmt.Sprintf("https://gitea.example/api/v1/%s/%s/cicd/runs", owner, repo)
}
