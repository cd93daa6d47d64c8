import json

import pytest

from proxy.calls.call import NotRead, Variables
from proxy.calls.shell import httpie
from proxy.calls.shell.draft import Draft
from tests.calls.reading import URL, shell


def read(*words: str, program: str = "http") -> Draft:
    return httpie.read(list(words), program, Variables())


@pytest.mark.parametrize(
    ("url", "program", "full"),
    [
        ("a/b", "http", "http://a/b"),
        ("a/b", "https", "https://a/b"),
        ("https://a", "http", "https://a"),
        (":8080/a", "http", "http://localhost:8080/a"),
        (":/a", "http", "http://localhost/a"),
        ("\ue000/a", "http", "\ue000/a"),
    ],
)
def test_a_url_may_leave_out_its_scheme_and_its_host(url: str, program: str, full: str) -> None:
    assert read("POST", url, program=program).url == full


def test_items_are_headers_and_fields() -> None:
    draft = read("POST", "u", "A:b:c", "D;", "e=f=g", 'h:={"i": [1]}', r"j\:k=l")
    assert draft.headers == [("A", "b:c"), ("D", "")]
    assert json.loads(draft.body or "") == {"e": "f=g", "h": {"i": [1]}, "j:k": "l"}


def test_a_raw_body_and_a_file_are_read() -> None:
    assert read("u", "--raw", "{}").body == "{}"
    assert read("u", "--raw={}").body == "{}"
    assert read("POST", "u", "@body.json").file == "body.json"


def test_a_token_is_a_header() -> None:
    assert read("-A", "bearer", "-a", "t", "u").headers == [("Authorization", "Bearer t")]


def test_other_options_are_kept() -> None:
    assert read("--check-status", "--timeout=5", "-j", "u").options == [("--check-status",), ("--timeout", "5")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-a", "me:hunter2", "u"], "--auth sends a password"),
        (["--form", "u"], "--form sends no JSON"),
        (["u", "a==b"], "a== adds to the query"),
        (["u", "a=@b"], "a=@b reads a file"),
        (["u", "a[b]=c"], "a[b] is a nested field"),
    ],
)
def test_what_cannot_be_translated_is_refused_with_the_reason(words: list[str], said: str) -> None:
    problem = read(*words).problem or ""
    assert said in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("item", ["a:={", "plain"])
def test_an_item_that_is_not_valid_is_refused(item: str) -> None:
    with pytest.raises(NotRead):
        read("u", item)


@pytest.mark.parametrize(
    ("text", "method", "body"),
    [
        (f"http {URL}", "GET", ""),
        (f"http post {URL}", "POST", ""),
        (f"http DELETE {URL}", "DELETE", ""),
        (f"http {URL} a=b", "POST", '{"a": "b"}'),
        (f"echo '{{}}' | http {URL}", "POST", "{}"),
        (f"http {URL} <<< '{{}}'", "POST", "{}"),
        (f"http {URL} a=$B c:=$D", "POST", '{"a": "<$B>", "c": "<$D>"}'),
    ],
)
def test_the_method_is_the_one_that_httpie_would_use(text: str, method: str, body: str) -> None:
    call = shell(text)
    assert (call.method, call.body) == (method, body)
