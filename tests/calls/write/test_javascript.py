import pytest

from proxy.calls import javascript as reader
from proxy.calls.shell import script
from proxy.calls.write import javascript
from tests.calls.reading import URL


def from_javascript(text: str) -> str:
    return javascript.write(reader.read(text).calls[0]).text


def from_shell(text: str) -> str:
    return javascript.write(script.read(text).calls[0]).text


def test_a_call_is_a_statement_that_fails_with_the_status() -> None:
    assert from_shell(f'curl {URL} -H "Authorization: Bearer $TOKEN" -d \'{{"a-b": 1}}\'') == (
        f'const response = await fetch("{URL}", {{\n'
        '  method: "POST",\n'
        "  headers: { Authorization: `Bearer ${process.env.TOKEN}` },\n"
        '  body: JSON.stringify({"a-b": 1}),\n'
        "});\n"
        "if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fetch('U', {method: 'POST', signal})", 'fetch("U", { method: "POST", signal })'),
        ("axios.post('U', {a: b}, {headers: h})", 'axios.post("U", {a: b}, { headers: { ...h } })'),
        ("axios.post('U')", 'axios.post("U", null)'),
        ("axios.get('U', {timeout: 5})", 'axios.get("U", { timeout: 5 })'),
    ],
)
def test_a_call_in_javascript_stays_an_expression_with_its_options(old: str, new: str) -> None:
    assert from_javascript(old.replace("U", "https://a/b")) == new.replace("U", "https://a/b")


def test_axios_with_one_object_keeps_its_form() -> None:
    assert from_javascript("axios({method: 'post', url: 'https://a/b', data: {}})") == (
        'axios({ method: "POST", url: "https://a/b", data: {} })'
    )


def test_a_text_with_a_variable_is_a_template() -> None:
    assert r"`\`\${x\\${process.env.B}`" in from_shell("""curl -X GET a/b -H 'A: `${x\\'"$B" """)


def test_a_body_that_is_no_json_and_one_in_a_file_are_sent_as_they_are() -> None:
    assert 'body: "a=b"' in from_shell("curl -X PATCH a/b -d a=b")
    assert 'readFileSync("f")' in from_shell("curl -X PATCH a/b -d @f")
