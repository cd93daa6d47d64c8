import ast

import pytest

from proxy.calls import python as reader
from proxy.calls.call import Call
from proxy.calls.shell import script
from proxy.calls.write import python
from tests.calls.reading import URL


def read(text: str) -> Call:
    return script.read(text).calls[0]


def from_python(text: str) -> str:
    return python.write(reader.read(text).calls[0]).text


def test_a_call_is_a_statement_with_its_imports() -> None:
    written = python.write(
        read(f"curl -f {URL} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: x' -d '{{\"a\": [1, true, null]}}'")
    )
    assert written.text == (
        "import os\n\nimport requests\n\n"
        "response = requests.post(\n"
        f'    "{URL}",\n'
        '    headers={"Authorization": f\'Bearer {os.environ["TOKEN"]}\'},\n'
        '    json={"a": [1, True, None]},\n'
        ")\nresponse.raise_for_status()"
    )
    assert written.notes == ["the new call reads from the environment: TOKEN"]


def test_a_call_in_python_stays_an_expression_with_its_arguments() -> None:
    text = f"await client.request('POST', '{URL}', json={{'a': b}}, headers={{**H, 'c': d}}, timeout=5)"
    assert from_python(text) == (
        "client.request(\n"
        '    "POST",\n'
        f'    "{URL}",\n'
        '    headers={**H, "c": d},\n'
        '    json={"a": b},\n'
        "    timeout=5,\n)"
    )


@pytest.mark.parametrize(
    "source",
    ["a['b']", "a['b'] + c[\"d\"]", "f('x')", "{'a': \"b'\"}['a']", "'\\n'.join(['x', 'y'])", "f(\"it's\" + '\"')"],
)
@pytest.mark.parametrize("before", ["", "'", '"', "{", "\\", "\n"])
def test_an_expression_in_a_text_is_valid_python_again(source: str, before: str) -> None:
    text = f"requests.post('{URL}', headers={{'A': '%s%s-' % ({before!r}, {source})}})"
    old, new = (ast.parse(one).body[0] for one in (text, from_python(text)))
    values = {"a": {"b": "1"}, "c": {"d": "2"}, "f": lambda x: x, "requests": None}
    results = [
        eval(compile(ast.Expression(node.value.keywords[0].value), "", "eval"), dict(values))  # type: ignore[attr-defined] # noqa: S307
        for node in (old, new)
    ]
    assert results[0] == results[1]


def test_a_body_that_is_no_json_and_one_in_a_file_are_sent_as_they_are() -> None:
    assert 'data="a=b".encode()' in python.write(read("curl -X PATCH a/b -d a=b")).text
    assert 'data=open("f", "rb")' in python.write(read("curl -X PATCH a/b -d @f")).text
    assert 'requests.patch("http://a/b"' in python.write(read("curl -X PATCH a/b -d @f")).text


def test_a_method_without_a_function_is_an_argument() -> None:
    assert 'requests.request("PURGE", "http://a/b")' in python.write(read("curl -X PURGE a/b")).text


def test_urllib_becomes_requests() -> None:
    assert "requests.post(" in from_python(f"urllib.request.Request('{URL}', data=b'{{}}')")
