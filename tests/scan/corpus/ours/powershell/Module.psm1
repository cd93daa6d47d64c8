function Start-Workflow($Org, $Repo, $Workflow) {
    Invoke-WebRequest -Uri ("https://api.sourcecraft.tech/{0}/{1}/ci_workflows/{2}/trigger" -f $Org, $Repo, $Workflow) `
        -Method POST
}
