async def trigger(session, org, repo, workflow):
    url = f"https://api.sourcecraft.tech/{org}/{repo}/ci_workflows/{workflow}"
    async with session.post(url + "/trigger", json={}) as answer:
        data = await answer.json()
        return data.get("trigger_status"), data.get("flux_id")
