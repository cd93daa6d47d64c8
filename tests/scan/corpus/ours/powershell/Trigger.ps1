$Api = 'https://api.sourcecraft.tech'
$Answer = Invoke-RestMethod -Method Post -Uri "$Api/$Org/$Repo/ci_workflows/$Workflow/trigger" -Body '{}' -Headers $Headers
Write-Output $Answer.flux_public_id
Invoke-RestMethod -Uri "$Api/$Org/$Repo/cicd/runs" -Method Get
