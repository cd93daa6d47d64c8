"""What is expected here is what the published documentation of the command says."""

import json
from typing import Any

import pytest

from proxy.calls.call import Answer, Call, Language, NotRead, Variable
from proxy.calls.write import src
from proxy.calls.write.written import Written
from tests.calls.reading import arguments

RUNS = "https://api.sourcecraft.tech/repos/acme/shop/cicd/runs"


def write(body: dict[str, Any], url: str = RUNS, **changes: Any) -> Written:
    body = {"workflows": [{"name": "build"}], **body}
    call = Call("curl", Language.SHELL, "POST", url, body=json.dumps(body), variables={"\ue000": Variable("$B")})
    return src.write(call._replace(**changes))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, ""),
        ({"head": {"branch": "main"}}, "--ref main"),
        ({"head": {"tag": "v1"}}, "--tag v1"),
        ({"head": {"commit": "a" * 40}}, f"--commit {'a' * 40}"),
        ({"config_revision": {"branch": "main"}}, "--cfg-ref main"),
        ({"config_revision": {"tag": "v1"}}, "--cfg-tag v1"),
        ({"config_revision": {"commit": "b"}}, "--cfg-commit b"),
        ({"shared": True}, "--shared"),
    ],
)
def test_each_field_has_its_flag(body: dict[str, Any], words: str) -> None:
    assert write(body).text.split() == ["src", "run", "trigger", "build", *words.split(), "-R", "acme/shop"]


def test_inputs_follow_the_name_of_the_workflow() -> None:
    values = [{"name": "a", "value": "b c"}, {"name": "d", "value": "\ue000=1"}, {"name": "a", "value": ""}]
    written = write({"workflows": [{"name": "re lease", "values": values}]})
    assert arguments(written.text, B="$x") == [
        "run", "trigger", "re lease", "a=b c", "d=$x=1", "a=", "-R", "acme/shop",
    ]  # fmt: skip


def test_an_answer_that_is_used_is_json() -> None:
    assert write({}, answer=Answer(is_used=True)).text.endswith("-R acme/shop --json")


def test_a_variable_can_hold_the_organization_and_the_repository() -> None:
    written = write({}, "https://api.sourcecraft.tech/repos/\ue000/cicd/runs")
    assert arguments(written.text, B="acme/shop") == ["run", "trigger", "build", "-R", "acme/shop"]


def test_what_differs_from_the_old_call_is_told() -> None:
    told = write({}, "https://proxy.example/repos/acme/shop/cicd/runs").notes
    assert [note.partition(":")[0] for note in told] == [
        "src uses its own login (src auth login), and no token from the call", "--ref", "https",
    ]  # fmt: skip
    assert len(write({"head": {"branch": "main"}}).notes) == 1


@pytest.mark.parametrize(
    ("body", "url", "said"),
    [
        ({}, "https://a/repos/id:42/cicd/runs", "not by its ID"),
        ({}, "https://a/repos/acme/shop", "only starts runs"),
        ({"workflows": [{"name": "-x"}]}, RUNS, "take -x for an option"),
        ({"workflows": [{"name": "x", "values": [{"name": "a=b", "value": "c"}]}]}, RUNS, "whose name has ="),
        ({"workflows": [{"name": "x", "values": [{"name": "-a", "value": "c"}]}]}, RUNS, "for an option"),
        ({"workflows": [{"name": "x", "values": [{"name": "a", "value": 5}]}]}, RUNS, "not a pair of texts"),
        ({"workflows": [{"name": "x", "values": ["\ue000"]}]}, RUNS, "not a pair of texts"),
        ({"workflows": []}, RUNS, "one workflow"),
        ({"workflows": [{"name": "x"}, {"name": "y"}]}, RUNS, "one workflow"),
        ({"head": {"x": "y"}}, RUNS, "one workflow"),
    ],
)
def test_what_the_command_cannot_do_is_refused(body: dict[str, Any], url: str, said: str) -> None:
    with pytest.raises(NotRead) as caught:
        write(body, url)
    assert said in str(caught.value)
