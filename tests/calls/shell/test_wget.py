import pytest

from proxy.calls.call import NotRead
from proxy.calls.shell import wget
from tests.calls.reading import URL, shell


@pytest.mark.parametrize(
    "line",
    [
        "wget --post-data='{}' URL",
        "wget --post-data '{}' URL",
        "wget -qO- --post-data='{}' URL",
        "wget URL -q -O - --method=POST --body-data='{}'",
        "wget -nv --tries=3 -T 5 --post-data='{}' URL",
        "/usr/bin/wget --post-data={} URL",
    ],
)
def test_the_same_call_is_read_however_it_is_spelled(line: str) -> None:
    call = shell(line.replace("URL", URL))
    assert (call.method, call.url, call.body) == ("POST", URL, "{}")


def test_headers_files_and_options_are_read() -> None:
    draft = wget.read(["--header=A: b", "-qO", "out", "--header", "C:d", "--post-file=f", "--tries=3", "--quiet", "u"])
    assert draft.headers == [("A", "b"), ("C", "d")]
    assert (draft.file, draft.method, draft.url) == ("f", "POST", "u")
    assert draft.options == [("-q",), ("-O", "out"), ("--tries", "3"), ("--quiet",)]


@pytest.mark.parametrize(("words", "method"), [([], "GET"), (["--method=PUT"], "PUT"), (["--post-data="], "POST")])
def test_the_method_is_the_one_that_wget_would_use(words: list[str], method: str) -> None:
    assert wget.read([*words, "u"]).method == method


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--password=hunter2", "u"], "--password sends a password"),
        (["-i", "urls"], "-i reads URLs from a file"),
        (["u", "v"], "more than one URL"),
    ],
)
def test_what_cannot_be_translated_is_refused_with_the_reason(words: list[str], said: str) -> None:
    problem = wget.read(words).problem or ""
    assert said in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("words", [["--header"], ["-O"]])
def test_an_option_without_its_value_is_refused(words: list[str]) -> None:
    with pytest.raises(NotRead, match="has no value"):
        wget.read(words)
