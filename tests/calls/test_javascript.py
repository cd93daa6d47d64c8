import pytest

from proxy.calls import javascript
from proxy.calls.call import NotRead
from tests.calls.reading import URL, only


def header(written: str) -> str:
    return only(javascript.read(f"fetch('{URL}', {{method: 'POST', headers: {{A: {written}}}}})")).headers[0][1]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a'", "a"),
        (r"'a\n\'\u00e9\x41\z'", "a\n'éAz"),
        ("`a${b}c`", "a<b>c"),
        ("'a' + b + `c`", "a<b>c"),
        ("(a)", "<a>"),
        ("a - b", "<a - b>"),
        ("process.env.A", "<process.env.A>"),
        ("`$a {b}`", "$a {b}"),
    ],
)
def test_texts_are_read_as_far_as_they_are_written_out(written: str, value: str) -> None:
    assert header(written) == value


@pytest.mark.parametrize(
    ("source", "name"),
    [("a", "a"), ("a.b", "b"), ("process.env.A", "A"), ("process.env['A']", "A"), ("a[0]", None), ("f(a)", None)],
)
def test_a_variable_has_a_name_that_other_languages_can_use(source: str, name: str | None) -> None:
    (call,) = javascript.read(f"fetch('{URL}', {{method: 'POST', headers: {{A: {source}}}}})").calls
    assert [variable.name for variable in call.variables.values()] == [name]


@pytest.mark.parametrize(
    ("text", "is_used"),
    [("{};", False), ("await {};", False), ("const r = await {};", True), ("{}.then(f);", True), ("f({});", True)],
)
def test_an_answer_is_used_unless_the_call_stands_alone(text: str, is_used: bool) -> None:
    text = text.replace("{}", f"fetch('{URL}', {{method: 'POST'}})")
    assert only(javascript.read(text)).answer.is_used is is_used


def test_the_span_counts_characters() -> None:
    text = f"const é = '😀'; fetch('{URL}', {{ method: 'POST' }}); // é"
    span = only(javascript.read(text)).span
    assert text[span.start : span.end] == f"fetch('{URL}', {{ method: 'POST' }})"


@pytest.mark.parametrize("change", ["b.a = 1;", "b = {};", "b['a'] = 1;", "const b = 1;"])
def test_a_variable_that_is_changed_is_not_taken_for_its_first_value(change: str) -> None:
    with pytest.raises(NotRead, match="its body is b, which"):
        only(javascript.read(f"let b = {{}}; {change} axios.post('{URL}', b)"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{method: 'POST', body: {a: 1}}", "use JSON.stringify"),
        ("{method: 'POST', body: JSON.stringify({...a})}", "in a variable (...)"),
        ("{method: 'POST', [a]: 1}", "its options are in a variable"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(options: str, said: str) -> None:
    with pytest.raises(NotRead) as caught:
        only(javascript.read(f"fetch('{URL}', {options})"))
    assert said in str(caught.value)


def test_options_that_stay_are_kept_with_their_source() -> None:
    call = only(javascript.read(f"window.fetch('{URL}', {{method: 'POST', signal, cache: 'no-store'}})"))
    assert (call.program, call.options) == ("window.fetch", (("signal", "signal"), ("cache", "'no-store'")))


def test_a_client_of_axios_is_known_by_its_withdrawn_path() -> None:
    text = "api.post('/acme/shop/ci_workflows/build/trigger', {}); map.delete('a/b'); list.get('/a/b')"
    assert [call.program for call in javascript.read(text).calls] == ["api.post"]


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(NotRead, match="nested too deeply"):
        javascript.read(f"fetch('{URL}', {{method: 'POST', body: JSON.stringify({'[' * 5000}{']' * 5000})}})")
