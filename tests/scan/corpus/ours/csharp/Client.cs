public sealed class SourceCraftClient(HttpClient http)
{
    private const string Api = "https://api.sourcecraft.tech";

    public Task<HttpResponseMessage> TriggerAsync(string org, string repo, string workflow) =>
        http.PostAsync($"{Api}/{org}/{repo}/ci_workflows/{Uri.EscapeDataString(workflow)}/trigger", new StringContent("{}"));

    public Task<HttpResponseMessage> RunsAsync(string org, string repo) =>
        http.GetAsync(Api + "/" + org + "/" + repo + "/cicd/runs");

    public Task DeleteAsync(string repo) => http.DeleteAsync($"https://api.sourcecraft.tech/acme/{repo}");
}
