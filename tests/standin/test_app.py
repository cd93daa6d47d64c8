from tests.standin.client import BUILD, RUNS, Client


def test_a_repository_is_the_same_by_slug_and_by_id(call: Client) -> None:
    call("POST", "/repos/id:42/cicd/runs", BUILD)
    assert call("GET", f"{RUNS}/1")[0] == call("GET", "/repos/id%3A42/cicd/runs/1")[0] == 200


def test_a_call_needs_a_token(call: Client) -> None:
    assert call("GET", RUNS, token=None)[0] == 401
