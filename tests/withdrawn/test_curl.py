import json
import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.withdrawn import curl
from proxy.withdrawn.curl import LITERAL_DOLLAR, Curl, CurlError

URL = "https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger"
JSON = ("Content-Type", "application/json")
TOKEN = ("Authorization", "Bearer $SOURCECRAFT_TOKEN")
BODY = '{"revision": "main"}'


def test_a_command_line_over_several_lines_is_read_whole() -> None:
    script = f"""
        curl -X POST \\
          -H 'Content-Type: application/json' \\
          -H "Authorization: Bearer $SOURCECRAFT_TOKEN" \\
          -d '{BODY}' \\
          {URL}
    """

    assert curl.parse(script) == Curl("POST", URL, (JSON, TOKEN), BODY)


def test_a_body_may_span_lines() -> None:
    read = curl.parse(f'curl {URL} --data \'{{\n  "revision": "main"\n}}\' -s')

    assert json.loads(read.body) == {"revision": "main"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_end_of_a_line_may_be_of_either_kind(end: str) -> None:
    script = end.join(["curl -X POST \\", f"  {URL} \\", f"  -d '{BODY}'", "echo done", ""])

    assert curl.parse(script) == Curl("POST", URL, (), BODY)


@pytest.mark.parametrize(
    "line",
    [
        "curl -X POST URL -d BODY",
        "curl -XPOST URL -d BODY",
        "curl -sXPOST URL -d BODY",
        "curl -sSfXPOST -d BODY URL",
        "curl -sS -L -k -f -X 'POST' URL -dBODY",
        "curl --request POST --url URL --data BODY",
        "curl --silent --show-error --fail --location URL --data-raw BODY",
        "curl --compressed URL --data-binary BODY",
        "curl --json BODY URL",
        "curl --data-ascii BODY -- URL",
        "curl URL -d BODY",
        "  curl   URL\t-d  BODY  ",
        "$ curl URL -d BODY",
        "curl URL -d BODY | jq .flux_id",
        "curl URL -d BODY|jq",
        "curl URL -d BODY > answer.json",
        "curl URL -d BODY 2>/dev/null",
        "curl URL -d BODY; echo done",
        "curl URL -d BODY && echo done",
        "curl URL -d BODY || exit 1",
        "curl URL -d BODY # start the build",
        "curl -o /dev/null -w '%{http_code}' URL -d BODY",
        "curl -so /dev/null URL -d BODY",
        "curl --retry 3 --retry-delay 1 --max-time 30 -m30 --connect-timeout 5 URL -d BODY",
        "curl --proto '=https' --max-redirs 3 -A legacy/1.0 -e https://ci.example -b a=b URL -d BODY",
        "curl --cacert ca.pem --cert me.pem --key me.key --resolve a:443:127.0.0.1 URL -d BODY",
    ],
)
def test_the_same_call_is_read_however_it_is_spelled(line: str) -> None:
    text = line.replace("URL", URL).replace("BODY", f"'{BODY}'")

    assert curl.parse(text) == Curl("POST", URL, (), BODY)


@pytest.mark.parametrize(
    ("options", "method"),
    [("", "GET"), ("-d ''", "POST"), ("-X PUT -d x", "PUT"), ("-X DELETE", "DELETE"), ("-d a -X POST", "POST")],
)
def test_the_method_is_the_one_that_curl_would_use(options: str, method: str) -> None:
    assert curl.parse(f"curl {options} {URL}").method == method


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        (r"a\ b", "a b"),
        (r"\"a\"", '"a"'),
        (r'"{\"a\": \"b\"}"', '{"a": "b"}'),
        (r'"a\\b\c"', r"a\b\c"),
        ("'it'\\''s'", "it's"),
        ("'it'\"'\"'s'", "it's"),
        ("'a'b\"c\"", "abc"),
        ("''", ""),
        ('""', ""),
        ("a#b", "a#b"),
        ("'a|b;c&d'", "a|b;c&d"),
        ("'тест'", "тест"),
        ("a\\\nb", "ab"),
        ('"a\\\nb"', "ab"),
        ('"a\nb"', "a\nb"),
        ("$VAR", "$VAR"),
        ('"${VAR}"', "${VAR}"),
        ('"$(cat token)"', "$(cat token)"),
        ('\'{"a": "\'"$VAR"\'"}\'', '{"a": "$VAR"}'),
        ("'{\"a\": \"'$VAR'\"}'", '{"a": "$VAR"}'),
        ("'$VAR'", f"{LITERAL_DOLLAR}VAR"),
        (r"\$VAR", f"{LITERAL_DOLLAR}VAR"),
        (r'"\$VAR $VAR"', f"{LITERAL_DOLLAR}VAR $VAR"),
    ],
)
def test_quotes_are_read_as_a_shell_reads_them(written: str, word: str) -> None:
    assert curl.parse(f"curl {URL} --data-raw {written}").body == word


def test_bodies_given_in_pieces_are_joined_as_curl_joins_them() -> None:
    assert curl.parse(f"curl {URL} -d a=1 --data b=2").body == "a=1&b=2"


def test_raw_data_is_never_a_file() -> None:
    assert curl.parse(f"curl {URL} --data-raw @body.json").body == "@body.json"


@pytest.mark.parametrize(
    ("written", "header"),
    [
        ("-H 'Authorization: Bearer t'", ("Authorization", "Bearer t")),
        ("-H'Authorization: Bearer t'", ("Authorization", "Bearer t")),
        ("--header Authorization:Bearer\\ t", ("Authorization", "Bearer t")),
        ('-H "Authorization: Bearer ${TOKEN}"', ("Authorization", "Bearer ${TOKEN}")),
        ("-H 'Authorization: Bearer '$TOKEN", ("Authorization", "Bearer $TOKEN")),
        ('-H "$AUTH: x"', ("$AUTH", "x")),
        ("-H 'X-Time: 12:30'", ("X-Time", "12:30")),
        ("-H 'X-Empty:'", ("X-Empty", "")),
        ("--oauth2-bearer $TOKEN", ("Authorization", "Bearer $TOKEN")),
    ],
)
def test_a_header_is_read_with_its_variables(written: str, header: tuple[str, str]) -> None:
    assert curl.parse(f"curl {written} {URL}").headers == (header,)


def test_headers_keep_their_order_and_their_repeats() -> None:
    read = curl.parse(f"curl -H 'B: 1' -H 'A: 2' -H 'b: 3' {URL}")

    assert read.headers == (("B", "1"), ("A", "2"), ("b", "3"))
    assert (read.header("b"), read.header("C")) == ("1", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not a curl command"),
        ("wget URL", "not a curl command"),
        ("curling URL", "not a curl command"),
        ("curl", "no URL"),
        ("curl -X POST -d '{}'", "no URL"),
        ("curl ''", "no URL"),
        ("curl URL -X", "-X has no value"),
        ("curl URL --data", "--data has no value"),
        ("curl URL -d @body.json", "body.json"),
        ("curl URL --data-binary @-", "file"),
        ("curl URL --json @body.json", "body.json"),
        ("curl URL -F revision=main", "-F"),
        ("curl URL -T body.json", "-T"),
        ("curl URL --upload-file body.json", "--upload-file"),
        ("curl URL --data-urlencode a=b", "--data-urlencode"),
        ("curl -K curl.conf", "-K"),
        ("curl URL -u me:hunter2", "Bearer"),
        ("curl URL --user me:hunter2", "Bearer"),
        ("curl URL -d 'open", "'"),
        ('curl URL -d "open', '"'),
        ("curl URL -d $'a\\n'", "$'"),
        ("curl URL -H `cat header`", "$(…)"),
        ('curl URL -H "A: `cat header`"', "$(…)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(line: str, said: str) -> None:
    with pytest.raises(CurlError) as caught:
        curl.parse(line.replace("URL", URL))

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([*"curlXHd -@:\\'\"`$|;&<>#\n\r\t{}()é", "--data ", "-H ", URL]), max_size=20))
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    for text in ("".join(pieces), "curl " + "".join(pieces)):
        try:
            read = curl.parse(text)
        except CurlError as error:
            assert str(error)
        else:
            assert read.url


# --- what is written

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0\n" + LITERAL_DOLLAR)
WORDS = st.text(st.sampled_from("$\\'\"`!#~ \t*?[]{}()|;&<>=%a") | CHARACTERS)


@settings(deadline=None, max_examples=60)
@given(st.lists(WORDS, min_size=1, max_size=20))
@example(["*", "?", "~", "#", "!", "", "a=b", "$", "a b", "{a,b}", "-n", "'", '"', "\\"])
def test_a_quoted_word_comes_out_of_a_shell_as_it_was(words: list[str]) -> None:
    quoted = [curl.quote(word.replace("$", LITERAL_DOLLAR)) for word in words]

    assert shell("printf '%s\\0' " + " ".join(quoted)) == words


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20))
def test_a_variable_between_literal_text_is_expanded_and_nothing_else_is(pairs: list[tuple[str, str]]) -> None:
    literal = [(before.replace("$", LITERAL_DOLLAR), after.replace("$", LITERAL_DOLLAR)) for before, after in pairs]
    quoted = [curl.quote(f"{before}${{VALUE}}{after}") for before, after in literal]

    got = shell("VALUE='a  b*'; printf '%s\\0' " + " ".join(quoted))

    assert got == [f"{before}a  b*{after}" for before, after in pairs]


def shell(script: str) -> list[str]:
    run = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return run.stdout.decode().split("\0")[:-1]


MARKED = st.text(st.sampled_from("$\\'\"`!# {}") | st.characters(codec="utf-8", exclude_characters="\0"))
NAMES = st.from_regex(r"[A-Za-z-]{1,8}", fullmatch=True)
CALLS = st.builds(
    Curl,
    st.sampled_from(["POST", "PUT", "$METHOD"]),
    MARKED.map(lambda path: f"https://api.example/{path}"),
    st.lists(st.tuples(NAMES, MARKED.map(str.strip)), max_size=3).map(tuple),
    st.just("") | st.dictionaries(MARKED, MARKED).map(lambda body: json.dumps(body, ensure_ascii=False, indent=1)),
)


@settings(deadline=None, max_examples=100)
@given(CALLS)
def test_what_is_written_reads_back_to_the_same(call: Curl) -> None:
    assert curl.parse(curl.write(call)) == call


@settings(deadline=None, max_examples=100)
@given(st.lists(WORDS.filter(lambda word: "$" not in word), max_size=5))
def test_words_that_another_tool_quoted_are_read(words: list[str]) -> None:
    headers = curl.parse(shlex.join(["curl", *(part for word in words for part in ("-H", f"X:{word}")), URL])).headers

    assert [value for _, value in headers] == [word.strip() for word in words]


def test_what_is_written_can_be_pasted_into_a_script() -> None:
    call = Curl("POST", "$BASE/repos/acme/shop/cicd/runs", (TOKEN, ("X-Cost", f"5{LITERAL_DOLLAR}")), '{"a": "it\'s"}')
    script = f"""
        curl() {{ printf '%s\\0' "$@"; }}
        BASE=https://api.example SOURCECRAFT_TOKEN='t*  t'
        {curl.write(call)}
    """

    headers = ["-H", "Authorization: Bearer t*  t", "-H", "X-Cost: 5$"]
    assert shell(script) == [
        "-X", "POST", "https://api.example/repos/acme/shop/cicd/runs", *headers, "-d", '{"a": "it\'s"}'
    ]  # fmt: skip


def test_a_call_is_written_an_argument_a_line() -> None:
    assert curl.write(Curl("POST", URL, (JSON, TOKEN), BODY)).splitlines() == [
        f"curl -X POST {URL} \\",
        "  -H 'Content-Type: application/json' \\",
        '  -H "Authorization: Bearer $SOURCECRAFT_TOKEN" \\',
        f"  -d '{BODY}'",
    ]
