def test_runs(client, headers, config_id):
    response = client.get(f"/api/integrations/{config_id}/cicd/runs?page=1&page_size=20", headers=headers)
    assert response.json()["total"] == 1
    assert client.get("/api/cicd/runs", headers=headers).status_code == 200
