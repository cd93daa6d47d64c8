set -gx API https://api.sourcecraft.tech
curl -X POST $API/acme/$repo/ci_workflows/$workflow/trigger
