import pytest

from proxy.calls import powershell
from proxy.calls.call import NotRead
from tests.calls.reading import URL, only


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a''b$c'", "a'b$c"),
        ('"a`"b""c`n"', 'a"b"c\n'),
        ('"Bearer $env:TOKEN"', "Bearer <$env:TOKEN>"),
        ('"a${b}c"', "a<${b}>c"),
        ('"a$(Get-B)c"', "a<$(Get-B)>c"),
        ("$a", "<$a>"),
        ('"a" + $b', "a<$b>"),
        ("5", "5"),
        ("('{1}/{0}' -f $a, 'b')", "b/<$a>"),
    ],
)
def test_texts_are_read_as_far_as_they_are_written_out(written: str, value: str) -> None:
    call = only(powershell.read(f"irm {URL} -Method POST -Headers @{{ A = {written} }}"))
    assert call.headers == (("A", value),)


@pytest.mark.parametrize(
    ("written", "body"),
    [
        ("'{}'", "{}"),
        ("(@{ a = 1 } | ConvertTo-Json)", '{"a": 1}'),
        ("(@{ a = $true; b = $null } | ConvertTo-Json -Depth 9 -Compress)", '{"a": true, "b": null}'),
        ("(ConvertTo-Json @{ a = @('b', 'c') })", '{"a": ["b", "c"]}'),
        ("(ConvertTo-Json -InputObject @{ a = @(@{ b = 'c' }) })", '{"a": [{"b": "c"}]}'),
        ("@'\n{}\n'@", "{}"),
        ('@"\n{"a": "$b"}\n"@', '{"a": "<$b>"}'),
    ],
)
def test_bodies_are_read(written: str, body: str) -> None:
    assert only(powershell.read(f"irm {URL} -Method POST -Body {written}")).body == body


@pytest.mark.parametrize(
    ("text", "is_used"),
    [("{}", False), ("$r = {}", True), ("{} | ConvertTo-Json", True), ("({}).slug", True)],
)
def test_an_answer_is_used_unless_the_call_stands_alone(text: str, is_used: bool) -> None:
    assert only(powershell.read(text.replace("{}", f"irm -Method Post {URL}"))).answer.is_used is is_used


@pytest.mark.parametrize("uri", [f'"{URL}"', f"'{URL}'", URL, "$api/acme/shop/ci_workflows/build/trigger"])
def test_a_url_needs_no_quotes(uri: str) -> None:
    for name in ("-Uri ", ""):
        call = only(powershell.read(f"Invoke-RestMethod {name}{uri} -Method Post"))
        assert call.url.replace("<$api>", "https://api.sourcecraft.tech") == URL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-Body @{ a = 1 }", "use ConvertTo-Json"),
        ("-Body $b", "its body is $b, which"),
        ("-InFile a.json", "-infile is not supported"),
        ("@unknown", "its parameters are in a variable"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(words: str, said: str) -> None:
    with pytest.raises(NotRead) as caught:
        only(powershell.read(f"irm {URL} -Method Post {words}"))
    assert said in str(caught.value)


@pytest.mark.parametrize("change", ["$b = '{}'", "$b.revision = 'a'", "$B += 'a'"])
def test_a_variable_that_is_changed_is_not_taken_for_its_first_value(change: str) -> None:
    with pytest.raises(NotRead, match=r"its body is \$b, which"):
        only(powershell.read(f"$b = '{{}}'\n{change}\nirm {URL} -Method Post -Body $b"))


def test_parameters_that_stay_are_kept_with_their_source() -> None:
    call = only(powershell.read(f"irm {URL} -UseBasicParsing -Method Post -TimeoutSec 5 -ContentType a/b"))
    assert call.options == (("-UseBasicParsing",), ("-timeoutsec", "5"))
    assert call.headers == (("Content-Type", "a/b"),)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(NotRead, match="nested too deeply"):
        powershell.read(f"irm {URL} -Method Post -Body ({'@(' * 3000}{')' * 3000} | ConvertTo-Json)")
