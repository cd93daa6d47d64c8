class SourceCraftApi:
    def create_project(self, repo_slug: str, login: str) -> None:
        """Start the workflow that makes a repository from the template."""
        url = f"{self._api_url}/{self._org_slug}/{repo_slug}/ci_workflows/upsert-repository/trigger"
        headers = {
            "Authorization": f"Bearer {self._admin_token}",
            "Content-Type": "application/json",
        }
        response = requests.post(url, headers=headers, json={"inputs": {"login": login}}, timeout=10)
        response.raise_for_status()
