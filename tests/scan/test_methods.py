import pytest

from proxy.scan.patterns import find


@pytest.mark.parametrize(
    "line",
    [
        "curl -X DELETE {}",
        "curl {} --request DELETE",
        "curl -H x \\\n  {} \\\n  -XDELETE",
        "curl {} ^\r\n  -X DELETE",
        "requests.delete('{}')",
        "client.DeleteAsync('{}')",
        "http.NewRequest(http.MethodDelete, '{}')",
        "Net::HTTP::Delete.new('{}')",
        "fetch('{}', {{method: 'delete'}})",
        "DELETE {} HTTP/1.1",
    ],
)
def test_the_method_of_a_change_to_a_repository_stands_on_its_line(line: str) -> None:
    [found] = find(line.format("https://api.sourcecraft.tech/acme/shop"))

    assert found.hit.endpoint == "delete_repository"
    assert find(line.format("https://api.example/acme/shop")) == []


def test_a_method_on_another_line_is_another_calls() -> None:
    assert find("curl -X DELETE $OTHER\ncurl https://api.sourcecraft.tech/acme/shop\n") == []


RUNS = "https://api.sourcecraft.tech/acme/shop/cicd/runs"


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("curl {}", "GET"),
        ("curl {} -d '{{}}'", "POST"),
        ("curl -G {} -d page_size=1", "GET"),
        ("curl -X POST other; curl {}", "GET"),
        ("curl {} && curl -d x other", "GET"),
        ("curl \\\n  --request POST \\\n  {}", "POST"),
        ("wget --post-data='{{}}' {}", "POST"),
        ("fetch('{}')", "GET"),
        ("fetch('{}', options)", "GET or POST"),
        ("const r = await fetch('{}')", "GET"),
        ("const r = await fetch('{}', {{\n  method: 'POST',\n}})", "POST"),
        ("fetch('{}', {{\n  body,\n  method: 'POST',\n}})", "POST"),
        ("post(other)\nclient.request(\n  'POST',\n  '{}',\n)\nclient.get(other)", "POST"),
        ("url: {}\nmethod: POST", "POST"),
        ("url: {}", "GET or POST"),
        ("RUNS = '{}'\nrequests.get(health)\nrequests.post(RUNS)", "GET or POST"),
        ("RUNS = '{}'\n\nrequests.post(RUNS)", "GET or POST"),
        ("RUNS={}\ncurl -X POST other", "GET or POST"),
        ("const url: string = `{}`;\nreturn http.post(url)", "GET or POST"),
        ("path := fmt.Sprintf('{}')\nhttp.NewRequest(http.MethodPost, path, nil)", "GET or POST"),
        ("requests.request(\n  url='{}',\n  method='POST',\n)", "POST"),
        ("requests.put('{}')", "GET or POST"),
        ('@PostMapping("{}")', "POST"),
        ("'method' => 'POST', 'url' => '{}'", "POST"),
        ("client.post_json('{}')", "POST"),
    ],
)
def test_the_method_of_a_call_of_runs_is_told_only_where_the_text_shows_it(text: str, method: str) -> None:
    [found] = [one for one in find(text.format(RUNS)) if one.hit.confidence.is_call]

    assert found.hit.method == method
    assert found.hit.replacement == f"{method} /repos/acme/shop/cicd/runs"


def test_an_explicit_method_weighs_more_than_data() -> None:
    [found] = find("curl -X PATCH 'https://api.sourcecraft.tech/acme/shop?silent=true' -d '{}'")

    assert found.hit.endpoint == "update_repository"
