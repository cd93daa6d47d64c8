// A legacy tool with Java's own client, as it comes: java Legacy.java BASE
import java.io.ByteArrayInputStream;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

public class Legacy {
    private final HttpClient client = HttpClient.newHttpClient();
    private final String base;
    private int runs = 0;

    private Legacy(String base) {
        this.base = base;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("OK " + new Legacy(arguments[0]).work());
    }

    private int work() throws Exception {
        String legacy = base + "/acme/shop";
        list(legacy);
        String body = "{\"revision\":\"" + "x".repeat(100_000) + "\"}";
        List<CompletableFuture<HttpResponse<String>>> triggers = List.of(
            post(legacy + "/ci_workflows/build/trigger", body),
            post(legacy + "/ci_workflows/release%2Fprod/trigger", "{\"revision\":\"tags:v1\"}"),
            post(base + "/repos/id:42/ci_workflows/build/trigger", ""));
        for (CompletableFuture<HttpResponse<String>> trigger : triggers) {
            check(field(good(trigger.get()), "trigger_status").equals("created"));
        }
        follow(legacy, field(triggers.get(0).get().body(), "flux_public_id"));
        for (int again = 0; again < 3; again++) {
            check(good(post(legacy + "/ci_workflows/build/trigger", "{}").get()).contains("flux_id"));
        }
        list(legacy);

        String current = base + "/repos/acme/shop";
        String run = field(good(post(current + "/cicd/runs", "{\"workflows\":[{\"name\":\"build\"}]}").get()), "slug");
        follow(current, run);
        list(current);
        return runs;
    }

    private void list(String repository) throws Exception {
        int listed = 0;
        String token = "";
        do {
            String encoded = URLEncoder.encode(token, StandardCharsets.UTF_8);
            String page = get(repository + "/cicd/runs?page_size=4&page_token=" + encoded);
            listed += page.split("\"event_type\"", -1).length - 1;
            token = field(page, "next_page_token");
        } while (!token.isEmpty());
        check(listed == runs);
    }

    private void follow(String repository, String run) throws Exception {
        String status;
        do {
            status = field(get(repository + "/cicd/runs/" + run), "status");
        } while (Set.of("created", "prepared", "processing").contains(status));
        check(status.equals("success"));
        String workflow = get(repository + "/cicd/runs/" + run + "/build");
        String task = field(workflow.substring(workflow.indexOf("\"tasks\"")), "slug");
        String cube = field(workflow.substring(workflow.indexOf("\"cubes\"")), "slug");
        String path = String.join("/", run, "build", task, cube);
        String logs;
        int page = 0;
        do {
            logs = get(repository + "/cicd/logs/" + path + "?page=" + ++page);
        } while (!logs.contains("\"done\":true"));
        String url = field(get(repository + "/cicd/artifacts/" + path), "download_url");
        byte[] content = client.send(request(url).build(), BodyHandlers.ofByteArray()).body();
        var lines = new InputStreamReader(
            new GZIPInputStream(new ByteArrayInputStream(content)), StandardCharsets.ISO_8859_1);
        check(new BufferedReader(lines).readLine().equals("built by run " + run));
    }

    private HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url))
            .header("Authorization", "Bearer " + System.getenv("SOURCECRAFT_TOKEN"));
    }

    private CompletableFuture<HttpResponse<String>> post(String url, String body) {
        runs++;
        HttpRequest.Builder builder = request(url).POST(BodyPublishers.ofString(body));
        if (!body.isEmpty()) {
            builder.header("Content-Type", "application/json");
        }
        return client.sendAsync(builder.build(), BodyHandlers.ofString());
    }

    private String get(String url) throws Exception {
        return good(client.send(request(url).build(), BodyHandlers.ofString()));
    }

    private static String good(HttpResponse<String> answer) {
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer + " " + answer.body());
        }
        return answer.body();
    }

    private static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(json);
        check(found.find());
        return found.group(1);
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new IllegalStateException();
        }
    }
}
