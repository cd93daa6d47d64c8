import pytest

from proxy.calls import python
from proxy.calls.call import NotRead
from tests.calls.reading import URL, only


@pytest.mark.parametrize(
    "text",
    [
        f"requests.post('{URL}', json={{}})",
        f"é = 'é'; requests.post('{URL}', json={{}})",
        f"    requests.post('{URL}', json={{}})\n",
        f"async def f():\n    await client.post('{URL}', json={{}})\n",
        f"requests.post(\n    '{URL}',\n    json={{}},\n)\n",
    ],
)
def test_the_span_is_that_of_the_expression(text: str) -> None:
    call = only(python.read(text))
    found = text[call.span.start : call.span.end]
    assert found.startswith(call.program)
    assert found.endswith(")")
    assert found.count("(") == found.count(")")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a'", "a"),
        ("b'a'", "a"),
        ("a", "<a>"),
        ("self.a", "<self.a>"),
        ("f'{a}-{b.c}'", "<a>-<b.c>"),
        ("f'{a!r:>3}'", "<f'{a!r:>3}'>"),
        ("'a' + b + 'c'", "a<b>c"),
        ("a + 1", "<a + 1>"),
        ("'%s-%s' % (a, 'b')", "<a>-b"),
        ("'%d' % a", "<'%d' % a>"),
        ("'{}-{}'.format(a, b)", "<a>-<b>"),
        ("'{x}'.format(x=a)", "<'{x}'.format(x=a)>"),
        ("os.environ['A']", "<os.environ['A']>"),
        ("'{a}'", "{a}"),
    ],
)
def test_texts_are_read_as_far_as_they_are_written_out(written: str, value: str) -> None:
    assert only(python.read(f"requests.post('{URL}', headers={{'A': {written}}})")).headers == (("A", value),)


@pytest.mark.parametrize(
    ("source", "name"),
    [("a", "a"), ("self.a", "a"), ("os.environ['A']", "A"), ("os.getenv('A')", "A"), ("os.environ.get('A', 'b')", "A"),
     ("str(a)", "a"), ("f(a)", None), ("a[0]", None)],
)  # fmt: skip
def test_a_variable_has_a_name_that_other_languages_can_use(source: str, name: str | None) -> None:
    (call,) = python.read(f"requests.post('{URL}', headers={{'A': {source}}})").calls
    assert [variable.name for variable in call.variables.values()] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "requests.get('https://a/b')",
        "config.get('a')",
        "d = {}\nd.pop('a')\nqueue.put('x/y')",
        "print(requests.post)",
    ],
)
def test_only_calls_of_http_are_read(text: str) -> None:
    assert [call.url for call in python.read(text).calls] == (["https://a/b"] if "https" in text else [])


@pytest.mark.parametrize(
    ("text", "is_used"),
    [
        ("{}", False),
        ("{}.raise_for_status()", False),
        ("await {}", False),
        ("a = {}", True),
        ("print({}.json())", True),
        ("return_({})", True),
    ],
)
def test_an_answer_is_used_if_more_than_its_status_is_looked_at(text: str, is_used: bool) -> None:
    assert only(python.read(text.format(f"requests.post('{URL}')"))).answer.is_used is is_used


@pytest.mark.parametrize(
    "text",
    [
        "b = {}\nb['a'] = 1\n",
        "b = {}\nb.update(a=1)\n",
        "b = {}\nb = {}\n",
        "def f(b):\n    b = {}\n",
        "for b in c: pass\n",
    ],
)
def test_a_variable_that_is_changed_is_not_taken_for_its_first_value(text: str) -> None:
    with pytest.raises(NotRead, match="its body is b, which is not written out"):
        only(python.read(f"{text}requests.post('{URL}', json=b)"))


@pytest.mark.parametrize("text", ["(" * 1000, "a = " + "-" * 100000 + "1", "a\0", "print 'a'", "if"])
def test_what_is_not_python_is_refused(text: str) -> None:
    with pytest.raises(NotRead):
        python.read(text)


def test_arguments_that_stay_are_kept_with_their_source() -> None:
    call = only(python.read(f"s.request('post', '{URL}', json={{}}, timeout=T, verify=False)"))
    assert (call.method, call.options) == ("POST", (("timeout", "T"), ("verify", "False")))


def test_headers_in_a_variable_stand_for_several() -> None:
    call = only(python.read(f"requests.post('{URL}', headers={{**H, 'A': 'b'}})"))
    assert call.headers == (("<H>", ""), ("A", "b"))
