package sourcecraft

import (
	"fmt"
	"net/http"
	"strings"
)

const host = "https://api.sourcecraft.tech"

type answer struct {
	ID     string `json:"flux_public_id"`
	Status string `json:"trigger_status"`
}

func Trigger(org, repo, name string) (*http.Response, error) {
	url := fmt.Sprintf("%s/%s/%s/ci_workflows/%s/trigger", host, org, repo, name)
	return http.Post(url, "application/json", strings.NewReader("{}"))
}

func Runs(org, repo string) (*http.Response, error) {
	return http.Get(host + "/" + org + "/" + repo + "/cicd/runs")
}
