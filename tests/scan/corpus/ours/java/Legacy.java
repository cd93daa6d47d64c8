class Legacy {
    String joined = "https://api.sourcecraft.tech/" + org
            + "/" + repo
            + "/ci_workflows/" + URLEncoder.encode(name, UTF_8) + "/trigger";
    String formatted = String.format("%s/%1$s/%s/ci_workflows/%s/trigger", api, org, repo, name);
    HttpUrl built = HttpUrl.parse(api).newBuilder()
            .addPathSegment(org)
            .addPathSegment(repo)
            .addPathSegment("ci_workflows")
            .addPathSegment(name)
            .addPathSegment("trigger")
            .build();
    HttpDelete gone = new HttpDelete("https://api.sourcecraft.tech/" + org + "/" + repo);
}
