from tests.standin.client import BUILD, RUNS, Client


def test_a_run_is_started_and_comes_to_its_end(call: Client) -> None:
    status, run = call("POST", RUNS, BUILD)
    assert (status, run["status"], run["workflows"], run["slug"]) == (200, "created", [], "1")
    seen = [call("GET", f"{RUNS}/1")[1]["status"] for _ in range(4)]
    assert seen == ["prepared", "processing", "success", "success"]
    assert call("GET", f"{RUNS}/1/build")[1]["slug"] == "build"
    assert [run["slug"] for run in call("GET", RUNS)[1]["runs"]] == ["1"]


def test_a_workflow_names_its_tasks_and_cubes(call: Client) -> None:
    call("POST", RUNS, {"workflows": [{"name": "release/prod"}]})
    status, workflow = call("GET", f"{RUNS}/1/release%2Fprod")
    assert (status, workflow["slug"]) == (200, "release/prod")
    assert [(task["slug"], [cube["slug"] for cube in task["cubes"]]) for task in workflow["tasks"]] == [
        ("compile", ["main"])
    ]
    assert call("GET", f"{RUNS}/1/release/prod")[0] == 404


def test_a_workflow_that_does_not_exist_leaves_nothing_to_start(call: Client) -> None:
    run = call("POST", RUNS, {"workflows": [{"name": "nothing"}]})[1]
    assert (run["status"], run["workflows"]) == ("success", [])
