import json

import pytest

from proxy.calls.call import NotRead
from tests.calls.reading import URL, shell

Read = tuple[str, str, tuple[tuple[str, str], ...], str]

JSON = ("Content-Type", "application/json")
TOKEN = ("Authorization", "Bearer <$SOURCECRAFT_TOKEN>")
BODY = '{"revision": "main"}'


def read(text: str) -> Read:
    """What a call with curl sends, with each variable as ``<source>``."""
    call = shell(text)
    return call.method, call.url, call.headers, call.body


def test_a_command_line_over_several_lines_is_read_whole() -> None:
    text = f"""
        curl -X POST \\
          -H 'Content-Type: application/json' \\
          -H "Authorization: Bearer $SOURCECRAFT_TOKEN" \\
          -d '{BODY}' \\
          {URL}
    """

    assert read(text) == ("POST", URL, (JSON, TOKEN), BODY)


def test_a_body_may_span_lines() -> None:
    call = shell(f'curl {URL} --data \'{{\n  "revision": "main"\n}}\' -s')

    assert json.loads(call.body) == {"revision": "main"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_end_of_a_line_may_be_of_either_kind(end: str) -> None:
    text = end.join(["curl -X POST \\", f"  {URL} \\", f"  -d '{BODY}'", "echo done", ""])

    assert read(text) == ("POST", URL, (), BODY)


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

    assert read(text) == ("POST", URL, (), BODY)


@pytest.mark.parametrize(
    ("options", "method"),
    [("", "GET"), ("-d ''", "POST"), ("-X PUT -d x", "PUT"), ("-X DELETE", "DELETE"), ("-d a -X POST", "POST")],
)
def test_the_method_is_the_one_that_curl_would_use(options: str, method: str) -> None:
    assert shell(f"curl {options} {URL}").method == method


def test_bodies_given_in_pieces_are_joined_as_curl_joins_them() -> None:
    assert shell(f"curl {URL} -d a=1 --data b=2").body == "a=1&b=2"


@pytest.mark.parametrize("option", ["-d", "--data-binary", "--json"])
def test_a_body_can_be_in_a_file(option: str) -> None:
    call = shell(f"curl {URL} {option} @body.json")

    assert (call.method, call.body, call.body_file) == ("POST", "", "body.json")


def test_options_that_only_curl_understands_are_kept_with_their_values() -> None:
    call = shell(
        f"curl -sSo out.json -w '%{{http_code}}' --retry 3 -H @headers -H \"$AUTH\" {URL} --new-option -d '{{}}'"
    )

    assert call.options == (
        ("-s",), ("-S",), ("-o", "out.json"), ("-w", "%{http_code}"), ("--retry", "3"), ("-H", "@headers"),
        ("-H", "<$AUTH>"), ("--new-option",),
    )  # fmt: skip
    assert call.may_authorize


def test_raw_data_is_never_a_file() -> None:
    assert shell(f"curl {URL} --data-raw @body.json").body == "@body.json"


@pytest.mark.parametrize(
    ("written", "header"),
    [
        ("-H 'Authorization: Bearer t'", ("Authorization", "Bearer t")),
        ("-H'Authorization: Bearer t'", ("Authorization", "Bearer t")),
        ("--header Authorization:Bearer\\ t", ("Authorization", "Bearer t")),
        ('-H "Authorization: Bearer ${TOKEN}"', ("Authorization", "Bearer <${TOKEN}>")),
        ("-H 'Authorization: Bearer '$TOKEN", ("Authorization", "Bearer <$TOKEN>")),
        ('-H "$AUTH: x"', ("<$AUTH>", "x")),
        ("-H 'X-Time: 12:30'", ("X-Time", "12:30")),
        ("-H 'X-Empty:'", ("X-Empty", "")),
        ("--oauth2-bearer $TOKEN", ("Authorization", "Bearer <$TOKEN>")),
    ],
)
def test_a_header_is_read_with_its_variables(written: str, header: tuple[str, str]) -> None:
    assert shell(f"curl {written} {URL}").headers == (header,)


def test_headers_keep_their_order_and_their_repeats() -> None:
    call = shell(f"curl -H 'B: 1' -H 'A: 2' -H 'b: 3' {URL}")

    assert call.headers == (("B", "1"), ("A", "2"), ("b", "3"))
    assert (call.header("b"), call.header("C")) == ("1", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("curl", "no URL"),
        ("curl -X POST -d '{}'", "no URL"),
        ("curl ''", "no URL"),
        ("curl URL -X", "-X has no value"),
        ("curl URL --data", "--data has no value"),
        ("curl URL --data-binary @-", "standard input"),
        ("curl URL -F revision=main", "-F"),
        ("curl URL -T body.json", "-T"),
        ("curl URL --upload-file body.json", "--upload-file"),
        ("curl URL --data-urlencode a=b", "--data-urlencode"),
        ("curl URL -K curl.conf", "-K"),
        ("curl URL -G -d a=b", "-G"),
        ("curl URL --next URL", "--next"),
        ("curl URL https://other.example", "more than one URL"),
        ("curl URL -d a=b -d @body.json", "put together"),
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
    with pytest.raises(NotRead) as caught:
        shell(line.replace("URL", URL))

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
