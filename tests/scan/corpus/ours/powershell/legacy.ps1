Invoke-RestMethod -Method Post -Uri "$env:API/$Org/$($Repo.Slug)/ci_workflows/$Name/trigger"
Invoke-RestMethod -Uri "https://api.sourcecraft.tech/$Org/$Repo" `
  -Method Delete
