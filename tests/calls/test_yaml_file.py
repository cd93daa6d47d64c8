import pytest

from proxy.calls import yaml_file
from proxy.calls.call import NotRead
from tests.calls.reading import URL, only


@pytest.mark.parametrize(
    ("text", "span"),
    [
        (f"a:\n  - curl {URL} -d '{{}}'\n", f"curl {URL} -d '{{}}'"),
        (f"run: |\n  set -e\n  curl {URL} \\\n    -d '{{}}'\n  echo\nb: c\n", f"curl {URL} \\\n    -d '{{}}'"),
        (f"- |-\n  curl {URL} -d @- <<E\n  {{}}\n  E\n- b\n", f"curl {URL} -d @-"),
        (f"run: >-\n  curl {URL}\n  -d '{{}}'\n", f"curl {URL}\n  -d '{{}}'"),
        (f"run: 'curl {URL} -d ''{{}}'''\n", f"curl {URL} -d ''{{}}''"),
        (f"run: curl {URL}\n  -d '{{}}'\n", f"curl {URL}\n  -d '{{}}'"),
        (f"a: 1\n---\nb: [\"curl {URL} -d '{{}}'\"]\n", f"curl {URL} -d '{{}}'"),
        (f"a: \"\\x41=1; curl {URL} -d '{{}}'\"\n", f"\"\\x41=1; curl {URL} -d '{{}}'\""),
    ],
)
def test_a_command_is_found_in_each_kind_of_text(text: str, span: str) -> None:
    call = only(yaml_file.read(text))
    assert (call.url, call.method, call.body.strip(), call.guesses) == (URL, "POST", "{}", ())
    assert text[call.span.start : call.span.end].strip() == span
    assert call.embedding is None or call.embedding.is_exact is span.startswith("curl")


def test_each_job_has_its_own_calls_in_the_order_of_the_file() -> None:
    text = f"b: &b\n  - curl {URL}/1\na: *b\nc:\n  - curl {URL}/2\n  - other\n"
    assert [call.url[-1] for call in yaml_file.read(text).calls] == ["1", "2"]


def test_a_command_that_cannot_be_read_does_not_hide_the_others() -> None:
    assert only(yaml_file.read(f"- curl 'a\n- curl {URL} -d '{{}}'\n")).url == URL


@pytest.mark.parametrize("text", ["a: [", "- curl 'a", "- curl 'a' b: c: d", "a: &a [*a", "\t- a"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(NotRead, match=r"line 1|never closed"):
        yaml_file.read(text)
