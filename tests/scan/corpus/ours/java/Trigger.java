package com.acme.ci;

final class Trigger {
    private static final String API = "https://api.sourcecraft.tech";

    HttpRequest request(String org, String repo, String workflow, String token) {
        return HttpRequest.newBuilder(URI.create(API + "/" + org + "/" + repo + "/ci_workflows/" + workflow + "/trigger"))
            .header("Authorization", "Bearer " + token)
            .POST(HttpRequest.BodyPublishers.ofString("{}"))
            .build();
    }

    HttpRequest runs(String org, String repo) {
        return HttpRequest.newBuilder(URI.create(String.format("%s/%s/%s/cicd/runs", API, org, repo))).GET().build();
    }
}
