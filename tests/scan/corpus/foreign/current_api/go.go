package main

url := fmt.Sprintf("https://api.sourcecraft.tech/repos/%s/%s/cicd/runs", org, repo)
