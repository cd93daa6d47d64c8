import json

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.calls.call import Call, Language
from proxy.calls.shell import script
from proxy.calls.write import curl
from tests.calls.reading import URL, arguments
from tests.support.examples import examples

JSON = ("Content-Type", "application/json")
BODY = '{"revision": "main"}'


def read(text: str) -> Call:
    return script.read(text).calls[0]


TEXTS = st.text(st.sampled_from("$\\'\"`!# {}") | st.characters(codec="utf-8", exclude_characters="\0"))
NAMES = st.from_regex(r"[A-Za-z-]{1,8}", fullmatch=True)
CALLS = st.builds(
    Call,
    st.just("curl"),
    st.just(Language.SHELL),
    st.sampled_from(["POST", "PUT"]),
    TEXTS.map(lambda path: f"https://api.example/{path}"),
    st.lists(st.tuples(NAMES, TEXTS.map(str.strip)), max_size=3).map(tuple),
    st.just("") | st.dictionaries(TEXTS, TEXTS).map(lambda body: json.dumps(body, ensure_ascii=False, indent=1)),
    body_file=st.none(),
    variables=st.just({}),
    options=st.lists(st.sampled_from([("-s",), ("-f",), ("-o", "a b")]), max_size=3).map(tuple),
)


@settings(deadline=None, max_examples=examples(100))
@given(CALLS)
def test_what_is_written_reads_back_to_the_same(call: Call) -> None:
    found = read(curl.write(call).text)

    assert (found.method, found.url, found.headers, found.body) == (call.method, call.url, call.headers, call.body)
    assert found.options == call.options


def test_what_is_written_can_be_pasted_into_a_script() -> None:
    old = read(
        """curl -X POST "$BASE/repos" -H "Authorization: Bearer $TOKEN" -H 'X-Cost: 5$' -d '{"a": "it'\\''s"}'"""
    )
    headers = ["-H", "Authorization: Bearer t*  t", "-H", "X-Cost: 5$"]

    assert arguments(curl.write(old).text, BASE="https://api.example", TOKEN="t*  t") == [
        "-X", "POST", "https://api.example/repos", *headers, "-d", '{"a": "it\'s"}'
    ]  # fmt: skip


def test_a_call_is_written_an_argument_a_line() -> None:
    call = read(f"curl {URL} -H 'Content-Type: application/json' -H \"A: $B\" -d '{BODY}'")

    assert curl.write(call).text.splitlines() == [
        f"curl -X POST {URL} \\",
        "  -H 'Content-Type: application/json' \\",
        '  -H "A: $B" \\',
        f"  -d '{BODY}'",
    ]


def test_a_program_may_be_in_a_variable() -> None:
    assert curl.write(read(f"$BIN/curl {URL} -d a"), " ").text == f'"$BIN/curl" -X POST {URL} -d a'


def test_a_call_fits_in_a_line_where_there_can_be_only_one() -> None:
    assert curl.write(read(f"curl {URL} -d a"), " ").text == f"curl -X POST {URL} -d a"


def test_the_program_and_its_options_are_kept_and_named() -> None:
    written = curl.write(read(f"/usr/bin/curl -sS -f -o 'a b' --retry 3 {URL} -d @body.json"))

    assert written.text == f"/usr/bin/curl -s -S -f -o 'a b' --retry 3 -X POST {URL} \\\n  -d @body.json"
    assert written.notes[0] == "kept: -f -o --retry"
    assert "--retry: a second try can start a second run" in written.notes[1]


def test_options_of_another_program_are_left_out_and_named() -> None:
    written = curl.write(read(f"wget -qO- --tries=3 --post-data='{{}}' {URL}"))

    assert written.text == f"curl -X POST {URL} \\\n  -d '{{}}'"
    assert [note.partition(":")[0] for note in written.notes] == ["--tries"]
