var request = HttpRequest.newBuilder(URI.create("https://api.sourcecraft.tech/issues/id:" + id))
    .method("PATCH", body).build();
var labels = HttpRequest.newBuilder(URI.create("https://api.sourcecraft.tech/labels/id:" + id)).DELETE().build();
