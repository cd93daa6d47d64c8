import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.calls.call import Call, Language, Variables
from proxy.calls.write.shell import Words
from tests.support.examples import examples

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0\n\ue000")
WORDS = st.text(st.sampled_from("$\\'\"`!#~ \t*?[]{}()|;&<>=%a") | CHARACTERS)


def call(language: Language = Language.SHELL, **sources: str | None) -> Call:
    """A call whose first variable is U+E000, and so on, each with its name."""
    variables = Variables()
    for source, name in sources.items():
        variables.add(f"${{{source}}}", name)
    return Call("curl", language, "POST", "", variables=variables.by_character)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(WORDS, min_size=1, max_size=20))
@example(["*", "?", "~", "#", "!", "", "a=b", "$", "a b", "{a,b}", "-n", "'", '"', "\\"])
def test_a_quoted_word_comes_out_of_a_shell_as_it_was(words: list[str]) -> None:
    quoted = [Words(call()).quote(word) for word in words]

    assert shell("printf '%s\\0' " + " ".join(quoted)) == words


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20))
def test_a_variable_between_literal_text_is_expanded_and_nothing_else_is(pairs: list[tuple[str, str]]) -> None:
    quoted = [Words(call(VALUE="VALUE")).quote(f"{before}\ue000{after}") for before, after in pairs]

    got = shell("VALUE='a  b*'; printf '%s\\0' " + " ".join(quoted))

    assert got == [f"{before}a  b*{after}" for before, after in pairs]


def shell(script: str) -> list[str]:
    run = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return run.stdout.decode().split("\0")[:-1]


def test_a_variable_of_another_language_comes_from_the_environment() -> None:
    words = Words(call(Language.PYTHON, branch="branch"))

    assert words.quote("\ue000") == '"${branch}"'
    assert words.notes() == ["the new call reads from the environment: branch"]


def test_a_value_in_a_body_keeps_its_place_outside_of_strings() -> None:
    old = call(N="N")
    old = old._replace(variables={"\ue000": old.variables["\ue000"]._replace(is_value=True)})

    assert Words(old).json('{"a":"\ue000"}') == '"{\\"a\\":${N}}"'
    assert Words(old._replace(language=Language.PYTHON)).json('{"a":"\ue000"}') == '"{\\"a\\":\\"${N}\\"}"'
