from urllib.parse import quote

from proxy.standin.repositories import artifact
from tests.standin.client import BUILD, RUNS, Client


def test_logs_come_in_pages_of_which_the_last_one_is_done(call: Client) -> None:
    logs = "/repos/acme/shop/cicd/logs/1/build/compile/main"
    call("POST", RUNS, BUILD)
    _, first = call("GET", logs)
    assert (first["page_complete"], first["done"]) == (False, False)
    assert call("GET", f"{logs}?page=2")[0] == 404
    end(call, "1")
    pages = [call("GET", f"{logs}?page={page}")[1] for page in (1, 2)]
    assert [(page["page_complete"], page["done"]) for page in pages] == [(True, False), (True, True)]
    assert pages[1]["logs"] == "run 1, page 2: success\n"
    assert call("GET", f"{logs}?page=3")[0] == 404


def end(call: Client, run: str) -> None:
    while call("GET", f"{RUNS}/{run}")[1]["status"] != "success":
        pass


def test_the_artifacts_of_a_run_that_has_ended_can_be_downloaded_from_where_the_caller_called(call: Client) -> None:
    artifacts = "/repos/acme/shop/cicd/artifacts/1/build/compile/main"
    call("POST", RUNS, BUILD)
    assert call("GET", artifacts)[1] == {"artifacts": []}
    end(call, "1")
    [found] = call("GET", artifacts, headers={"X-Forwarded-Host": "proxy.example", "X-Forwarded-Proto": "https"})[1][
        "artifacts"
    ]
    base, path = found["download_url"].split("/downloads", 1)
    assert base == "https://proxy.example"
    status, content = call("GET", f"/downloads{path}", token=None)
    assert (status, content) == (200, artifact("1"))


def test_runs_are_listed_in_pages_newest_first(call: Client) -> None:
    for _ in range(5):
        call("POST", RUNS, BUILD)
    listed, token = [], ""
    for size in (2, 2, 1):
        _, page = call("GET", f"{RUNS}?page_size=2&page_token={quote(token)}")
        assert len(page["runs"]) == size
        listed += [run["slug"] for run in page["runs"]]
        token = page["next_page_token"]
    assert listed == ["5", "4", "3", "2", "1"]
    assert token == ""


def test_a_page_token_must_come_back_as_it_was_given(call: Client) -> None:
    for _ in range(2):
        call("POST", RUNS, BUILD)
    token = call("GET", f"{RUNS}?page_size=1")[1]["next_page_token"]
    assert token != quote(token)
    assert call("GET", f"{RUNS}?page_size=1&page_token={quote(token)}")[0] == 200
    assert call("GET", f"{RUNS}?page_size=1&page_token={token}")[0] == 400


def test_a_repository_can_be_described_and_deleted(call: Client) -> None:
    repository = {"id": "42", "slug": "shop", "description": "toys"}
    assert call("PATCH", "/repos/acme/shop?silent=true", {"description": "toys"}) == (200, repository)
    assert call("PATCH", "/repos/id:42", {}) == (200, repository)
    assert call("DELETE", "/repos/acme/shop?silent=true") == (204, b"")
    assert call("DELETE", "/repos/acme/shop")[0] == 404
    assert call("GET", RUNS)[0] == 404
