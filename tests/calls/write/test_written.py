import pytest

from proxy.calls.call import Call, Language, Variable
from proxy.calls.write.written import Names, absolute, headers_of, left_out, pieces

CALL = Call(
    "curl",
    Language.POWERSHELL,
    "POST",
    "",
    (("\ue001", ""), ("A", "\ue001")),
    options=(("-s",), ("-o", "out"), ("--retry", "3"), ("-f",), ("-x", "\ue000"), ("-O", "-")),
    variables={
        "\ue000": Variable("$env:TOKEN", "TOKEN"),
        "\ue001": Variable("$(Get-It)"),
        "\ue002": Variable("$a.TOKEN", "TOKEN"),
    },
)


@pytest.mark.parametrize(
    ("language", "expressions"),
    [
        (Language.POWERSHELL, ["$env:TOKEN", "$(Get-It)", "$a.TOKEN"]),
        (Language.SHELL, ["${TOKEN}", "${VALUE}", "${TOKEN_2}"]),
        (Language.PYTHON, ['os.environ["TOKEN"]', 'os.environ["VALUE"]', 'os.environ["TOKEN_2"]']),
        (Language.JAVASCRIPT, ["process.env.TOKEN", "process.env.VALUE", "process.env.TOKEN_2"]),
    ],
)
def test_a_variable_keeps_its_source_or_comes_from_the_environment(language: Language, expressions: list[str]) -> None:
    names = Names(CALL, language)
    assert [names.expression(char) for char in CALL.variables] == expressions
    told = "the new call reads from the environment: TOKEN, VALUE (for $(Get-It)), TOKEN_2 (for $a.TOKEN)"
    assert names.notes() == ([] if language is Language.POWERSHELL else [told])


def test_a_text_is_cut_at_its_variables() -> None:
    assert pieces("a\ue000\ue001bc", CALL) == [("a", False), ("\ue000", True), ("\ue001", True), ("bc", False)]


@pytest.mark.parametrize(
    ("url", "is_same", "whole", "notes"),
    [
        ("https://a/b", False, "https://a/b", 0),
        ("\ue000/b", False, "\ue000/b", 0),
        ("a/b", False, "http://a/b", 0),
        ("a/b", True, "a/b", 0),
        ("/b", True, "/b", 0),
        ("/b", False, "https://api.sourcecraft.tech/b", 1),
    ],
)
def test_a_url_gets_what_its_program_adds(url: str, is_same: bool, whole: str, notes: int) -> None:
    written, told = absolute(CALL._replace(url=url), is_same=is_same)
    assert (written, len(told)) == (whole, notes)


def test_headers_in_a_variable_stay_only_in_their_language() -> None:
    assert headers_of(CALL, is_same=True) == (list(CALL.headers), [])
    headers, notes = headers_of(CALL, is_same=False)
    assert headers == [("A", "\ue001")]
    assert notes == ["$(Get-It): it holds headers, which are not in the new call: write them out"]


def test_each_option_that_is_left_out_is_told_unless_it_changes_nothing() -> None:
    assert left_out(CALL) == [
        "-o: not in the new call; the answer is not written to a file",
        "--retry: not in the new call; a second try can start a second run",
        "-f: not in the new call; check the status of the answer",
        "-x: not in the new call; see whether you need it",
    ]
    assert len(left_out(CALL, checks_status=True)) == 3
