"""What comes out of what people paste; `pasted.py` has the texts."""

import json

import pytest

from proxy.calls.call import NotRead
from proxy.calls.reader import Kind
from proxy.calls.translation import Translation, translate
from proxy.calls.write.written import Target
from proxy.withdrawn import trigger
from tests.calls import pasted
from tests.calls.pasted import MAIN, URL, Pasted

FILES = {"body.json": MAIN}
ALL = [
    pytest.param(one, kind or one.kind, id=f"{group}-{one.name}")
    for group, rows, kind in (
        ("curl", pasted.CURL, None),
        ("other", pasted.OTHER_PROGRAMS, None),
        ("python", pasted.PYTHON, Kind.PYTHON),
        ("javascript", pasted.JAVASCRIPT, Kind.JAVASCRIPT),
        ("powershell", pasted.POWERSHELL, Kind.POWERSHELL),
        ("none", pasted.NOT_READ, None),
    )
    for one in rows
]


def translated(text: str, target: Target | None = Target.CURL) -> Translation:
    return translate(text, target, load=FILES.get)


def said(translation: Translation) -> str:
    """All that is told."""
    notes = [note for result in translation.results for note in (*result.notes, result.problem or "")]
    return "\n".join([*translation.notes, *notes])


def test_the_table_is_long_enough() -> None:
    assert len(ALL) >= 90


@pytest.mark.parametrize(("one", "kind"), ALL)
def test_what_is_pasted_is_translated_or_refused_with_a_reason(one: Pasted, kind: Kind) -> None:
    try:
        translation = translated(one.text)
    except NotRead as error:
        assert one.body is None
        assert len(str(error).splitlines()) == 1
        assert [part for part in one.told if part not in str(error)] == []
        return
    (result,) = translation.results
    assert translation.kind is (Kind.SHELL if one.name == "yaml-item-with-a-header" else kind)
    assert [part for part in one.told if part not in said(translation)] == []
    if one.body is None:
        assert result.new is None
        assert result.problem
        assert "secret" not in result.problem
    else:
        assert result.new is not None, result.problem
        expected = trigger.to_successor(one.body.encode(), workflow(one.text)).body
        assert json.loads(result.new.shown(result.new.body)) == json.loads(expected)


def workflow(text: str) -> str:
    """The name of the workflow that a text has in its path."""
    names = {"$WF": "$WF", "${WF}": "${WF}", "{quote(NAME)}": "quote(NAME)"}
    return next((name for written, name in names.items() if f"/{written}/trigger" in text), "build")


@pytest.mark.parametrize("one", [row.values[0] for row in ALL], ids=[row.id for row in ALL])
def test_nothing_is_told_but_what_has_to_be(one: Pasted) -> None:
    """Each line that is told is one that the table asks for, or one that all such calls get."""
    try:
        lines = said(translated(one.text)).splitlines()
    except NotRead:
        return
    usual = (
        "no Authorization header",
        "H: it holds headers",
        "a revision is a variable",
        "the new call reads from the environment",
        "kept: ",
    )
    told = [line for line in lines if line and not line.startswith(usual)]
    assert [line for line in told if not any(part in line for part in one.told)] == []


def test_each_call_in_a_text_is_translated_in_turn() -> None:
    text = f"curl {URL} -d '{{}}'\ncurl https://example.com/install.sh\nwget --post-data='{MAIN}' {URL}\ncurl {URL}\n"
    results = translated(text).results
    assert [(result.line, result.old.tool, result.new is not None) for result in results] == [
        (1, "curl", True), (2, "curl", False), (3, "wget", True), (4, "curl", False),
    ]  # fmt: skip
    assert [result.still_works for result in results] == [False, True, False, False]


def test_a_path_that_is_in_no_call_is_told() -> None:
    text = f"curl {URL} -d '{{}}'\nssh ci \"curl {URL}\"\n# {URL}\n"
    assert "line 2: it has a withdrawn path, and was not read as a call" in said(translated(text))
    assert "line 3" not in said(translated(text))


def test_a_url_that_is_only_a_variable_is_left_with_a_hint() -> None:
    (result,) = translated('curl "$URL" -d "$BODY"').results
    assert (result.still_works, result.new) == (True, None)
    assert result.problem == "$URL is not the withdrawn trigger, unless its variables make it one"


def test_a_file_that_holds_what_stands_for_a_variable_is_not_read() -> None:
    (result,) = translate(f'curl {URL} -H "A: $B" -d @f', None, load=lambda _: '{"revision": "\ue000"}').results
    assert result.problem is not None
    assert "its body is in the file f" in result.problem


@pytest.mark.parametrize("target", [None, *Target])
def test_what_is_written_is_for_the_target(target: Target | None) -> None:
    (result,) = translated(f"curl {URL} -H 'Authorization: Bearer x' -d '{MAIN}'", target).results
    starts = {None: "", Target.CURL: "curl", Target.HTTPIE: "http", Target.PYTHON: "import", Target.JAVASCRIPT: "const",
              Target.SRC: "src run trigger build --ref main -R acme/shop"}  # fmt: skip
    assert result.text.startswith(starts[target])
