import pytest

from proxy.calls import groovy
from proxy.calls.call import NotRead
from tests.calls.reading import URL, only


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("sh 'CALL'", "CALL"),
        ('sh("CALL")', "CALL"),
        ("sh(script: 'CALL', returnStdout: true).trim()", "CALL"),
        ("sh(returnStdout: true, script: 'CALL')", "CALL"),
        ("sh '''\n  set -e\n  CALL\n'''", "CALL"),
        ('sh """\n  CALL\n"""', "CALL"),
        ("sh 'A=1 \\\\\nCALL'", "CALL"),
    ],
)
def test_a_command_is_found_in_each_kind_of_string(text: str, span: str) -> None:
    written = f"curl {URL} -d {{}}"
    text = f"pipeline {{ steps {{ {text} }} }}".replace("CALL", written)
    call = only(groovy.read(text))
    assert (call.url, call.method, call.body) == (URL, "POST", "{}")
    assert text[call.span.start : call.span.end] == span.replace("CALL", written)
    assert call.embedding is not None
    assert call.embedding.is_exact


def test_escapes_are_those_of_groovy() -> None:
    call = only(groovy.read(rf"""sh "curl {URL} -H \"A: \$B ${{env.C}}\" -d '{{\"d\": 1}}'" """))
    assert (call.headers, call.body) == ((("A", "<$B> <${env.C}>"),), '{"d": 1}')


def test_a_command_that_cannot_be_read_is_refused_unless_another_can() -> None:
    with pytest.raises(NotRead, match="never closed"):
        groovy.read('sh "curl \'a"')
    assert only(groovy.read(f"sh \"curl 'a\"\nsh 'curl {URL}'")).url == URL
