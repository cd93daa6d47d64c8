import pytest

from proxy.calls.call import NotRead
from proxy.calls.shell import script
from tests.calls.reading import URL, shell


@pytest.mark.parametrize(
    "text",
    [
        "apt-get install -y curl",
        "apk add curl --no-cache",
        "command -v curl >/dev/null",
        "echo wget",
        "echo http",
        "httpd start",
        "./http/run",
        "set -e",
        "",
    ],
)
def test_a_program_that_is_only_named_is_not_called(text: str) -> None:
    assert script.read(text).calls == ()


@pytest.mark.parametrize(
    ("text", "prefix", "program"),
    [
        ("curl", "", "curl"),
        ("/usr/bin/curl", "", "/usr/bin/curl"),
        ("sudo -E -u ci curl", "sudo -E -u ci", "curl"),
        ("A=b curl", "A=b", "curl"),
        ("docker run --rm curlimages/curl:8.5.0", "docker run --rm", "curlimages/curl:8.5.0"),
        ("\t@curl", "", "curl"),
        ("RUN curl", "RUN", "curl"),
    ],
)
def test_what_stands_before_the_program_is_kept_apart(text: str, prefix: str, program: str) -> None:
    call = shell(f"{text} {URL} -d '{{}}'")
    assert (call.prefix, call.program) == (prefix, program)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("sudo CALL | jq .", "CALL"),
        ("R=$(CALL | jq .)", "CALL"),
        ('echo "$(CALL)"', "CALL"),
        ("CALL > out 2>&1", "CALL"),
        ("if CALL; then a; fi", "CALL"),
    ],
)
def test_the_span_is_that_of_the_words_of_the_call(text: str, span: str) -> None:
    written = f"curl {URL} \\\n  -d '{{}}'"
    whole = text.replace("CALL", written)
    found = shell(whole).span
    assert whole[found.start : found.end] == span.replace("CALL", written)


@pytest.mark.parametrize(
    ("text", "is_used"),
    [
        ("CALL", False),
        ("CALL | jq .", True),
        ("CALL > out", True),
        ("CALL > /dev/null", False),
        ("R=$(CALL)", True),
        ("CALL -o out", True),
        ("CALL && a", False),
    ],
)
def test_an_answer_is_used_if_it_goes_anywhere(text: str, is_used: bool) -> None:
    assert shell(text.replace("CALL", f"curl {URL} -d '{{}}'")).answer.is_used is is_used


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("B='{}'\nCALL -d \"$B\"", "{}"),
        ("B='{}'\nCALL -d ${B}", "{}"),
        ("export B='{}'\nCALL -d $B", "{}"),
        ("A='{}'\nB=$A\nCALL -d $B", "{}"),
        ("CALL -d \"$(cat <<'E'\n{}\nE\n)\"", "{}"),
        ("CALL -d \"$(echo '{}')\"", "{}"),
        ('cat <<E | CALL -d @-\n{"a": "$B"}\nE', '{"a": "<$B>"}'),
        ("echo -n '{}' | CALL -d @-", "{}"),
        ("printf '%s\\n' '{}' | CALL -d @-", "{}"),
        ('printf \'{"a":"%s","b":"%s"}\' x "$Y" | CALL -d @-', '{"a":"x","b":"<$Y>"}'),
        ("CALL -d '{\"a\": '$N'}'", '{"a": "<$N>"}'),
        ("cat > f <<E\n{}\nE\nCALL -d @f", "{}"),
        ("echo '{}' > f\nCALL -d @f", "{}"),
    ],
)
def test_a_body_is_found_in_the_text(text: str, body: str) -> None:
    assert shell(text.replace("CALL", f"curl {URL}")).body == body


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("CALL -d @f", "f"),
        ("CALL -d @- < f", "f"),
        ("cat f | CALL -d @-", "f"),
        ('CALL -d "$(cat f)"', "f"),
        ('CALL -d "$(<f)"', "f"),
        ("B=$(cat f)\nCALL -d $B", "f"),
        ("echo a > f\necho b >> f\nCALL -d @f", "f"),
    ],
)
def test_a_body_in_a_file_is_named(text: str, file: str) -> None:
    call = shell(text.replace("CALL", f"curl {URL}"))
    assert (call.body, call.body_file) == ("", file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CALL -d $B", "its body is $B, which is not set in this text"),
        ("B=1\nB=2\nCALL -d $B", "its body is $B"),
        ("B=1\nCALL -d ${B:-2}", "its body is ${B:-2}"),
        ("B=$B\nCALL -d $B", "its body is $B"),
        ("CALL -d @-", "standard input"),
        ("jq -n . | CALL -d @-", "its body is made by jq:"),
        ('CALL -d "$(jq -n .)"', "its body is made by jq:"),
        ("printf '%d' 1 | CALL -d @-", "its body is made by printf:"),
        ("jq -n . > f\nCALL -d @f", "its body is made by jq"),
        ("CALL -d @$F", "its body is in the file $F"),
    ],
)
def test_a_body_that_is_not_in_the_text_is_named(text: str, said: str) -> None:
    with pytest.raises(NotRead) as caught:
        shell(text.replace("CALL", f"curl {URL}"))
    assert said in str(caught.value)


def test_commands_that_make_a_body_are_no_leftovers() -> None:
    others = script.read(f"echo a\necho '{{}}' | curl {URL} -d @-\necho b").others
    assert [other.program for other in others] == ["echo", "echo"]


def test_deep_substitutions_have_an_end() -> None:
    assert script.read("a=" + "$(b " * 200 + ")" * 200).calls == ()


def test_a_part_of_a_text_is_read_with_the_places_of_the_whole() -> None:
    text = f"xx 'curl {URL} -d @- yy"
    (call,) = script.read(text, start=4, end=len(text) - 3).calls
    assert text[call.span.start : call.span.end] == f"curl {URL} -d @-"
