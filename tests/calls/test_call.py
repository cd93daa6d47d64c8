import pytest

from proxy.calls.call import Call, Language, NotRead, Span, Variables, in_order


def call(start: int, end: int) -> Call:
    return Call("curl", Language.SHELL, "POST", "https://a", span=Span(start, end))


def test_a_character_that_stands_for_a_variable_is_not_in_the_text() -> None:
    variables = Variables("\ue000", r'{"a": "\uE001"}')
    assert variables.add("$A") == "\ue002"
    assert variables.shown("x\ue002y\ue000") == "x$Ay\ue000"


def test_there_is_an_end_to_variables() -> None:
    variables = Variables()
    with pytest.raises(NotRead, match="too many variables"):
        [variables.add("$A") for _ in range(6401)]


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ('{"a": \ue000}', '{"a": "\ue000"}'),
        ('{"a": "\ue000"}', '{"a": "\ue000"}'),
        (r'{"a\"": \ue000}'.replace(r"\ue000", "\ue000"), r'{"a\"": "\ue000"}'.replace(r"\ue000", "\ue000")),
        (r'{"a\\": "\ue000"}'.replace(r"\ue000", "\ue000"), r'{"a\\": "\ue000"}'.replace(r"\ue000", "\ue000")),
        ("[\ue000]", '["\ue000"]'),
    ],
)
def test_a_variable_outside_of_strings_gets_quotes(body: str, quoted: str) -> None:
    variables = Variables()
    char = variables.add("$A")
    assert variables.as_values(body) == quoted
    assert variables.by_character[char].is_value == (body != quoted)


def test_fields_of_the_answer_are_those_named_between_a_call_and_the_next() -> None:
    text = "flux_id; curl | jq .flux_id,.fluxPublicId,.flux_id; curl | jq .trigger_status"
    found = in_order(text, [call(52, 56), call(9, 13)])
    assert [one.answer.fields for one in found.calls] == [("flux_id", "fluxPublicId"), ("trigger_status",)]


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ({}, False),
        ({"headers": (("AUTHORIZATION", "Bearer x"),)}, True),
        ({"headers": (("X-A", "b"),)}, False),
        ({"options": (("-H", "@file"),)}, True),
        ({"options": (("-o", "file"),)}, False),
    ],
)
def test_a_call_may_authorize_by_a_header_or_by_what_is_not_known(change: dict[str, object], may: bool) -> None:
    assert call(0, 0)._replace(**change).may_authorize is may  # type: ignore[arg-type]


def test_a_tool_is_a_program_without_its_folder() -> None:
    assert [call(0, 0)._replace(program=name).tool for name in ("curl", "/usr/bin/curl", r"C:\x\curl.exe")] == [
        "curl"
    ] * 3
