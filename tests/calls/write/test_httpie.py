from proxy.calls.call import Call
from proxy.calls.shell import script
from proxy.calls.write import httpie
from tests.calls.reading import URL, arguments


def read(text: str) -> Call:
    return script.read(text).calls[0]


def test_a_call_is_written_as_words_that_httpie_takes_as_they_are() -> None:
    written = httpie.write(read(f"curl {URL} -H \"A: $B\" -H 'C: =x' -H 'D:' -d '{{\"e\": \"f\"}}'"))
    assert written.notes == []
    assert arguments(written.text, B="1 2") == [
        "--ignore-stdin", "POST", URL, "A: 1 2", "C: =x", "D;", "--raw", '{"e": "f"}',
    ]  # fmt: skip


def test_options_of_httpie_are_kept_and_others_named() -> None:
    assert "--check-status POST" in httpie.write(read(f"http --check-status POST {URL} a=b")).text
    assert httpie.write(read(f"curl -f {URL} -d @f")).notes == [
        "-f: not in the new call; check the status of the answer"
    ]
    assert "  @f" in httpie.write(read(f"curl -f {URL} -d @f")).text
