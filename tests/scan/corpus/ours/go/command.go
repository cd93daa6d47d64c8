package main

const runsPath = "/%s/%s/cicd/runs"

func post(org, repo string) string {
	return do(http.MethodPost, baseURL+fmt.Sprintf("/%s/%s/cicd/runs", org, repo))
}
