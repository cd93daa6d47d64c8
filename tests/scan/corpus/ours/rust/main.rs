const API: &str = "https://api.sourcecraft.tech";

#[derive(serde::Deserialize)]
struct Answer {
    flux_public_id: String,
    trigger_status: String,
}

async fn trigger(client: &reqwest::Client, org: &str, repo: &str, name: &str) -> reqwest::Result<Answer> {
    let url = format!("{API}/{org}/{repo}/ci_workflows/{name}/trigger");
    client.post(url).json(&serde_json::json!({})).send().await?.json().await
}

async fn runs(client: &reqwest::Client, org: &str, repo: &str) -> reqwest::Result<String> {
    client.get(format!("{}/{}/{}/cicd/runs", API, org, repo)).send().await?.text().await
}
