import pytest

from proxy.callers.render.links import linked
from tests.callers.render.sample_page import HOSTILE


@pytest.mark.parametrize("address", ["a@b.example", "first.last+ci@mail.acme.example", "o'neil@acme.example"])
def test_an_address_is_a_link(address: str) -> None:
    shown = address.replace("'", "&#x27;")
    assert linked(address) == f'<a href="mailto:{shown}">{shown}</a>'


@pytest.mark.parametrize("url", ["https://acme.example", "https://acme.example:8443/a/b?c=d#e", "https://1.2.3.4/"])
def test_a_page_is_a_link_with_the_address_as_its_text(url: str) -> None:
    assert linked(url) == f'<a href="{url}" rel="noreferrer">{url.removeprefix("https://")}</a>'


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "team-build",
        "#releases",
        "http://acme.example",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "mailto:a@b.example",
        "a@b",
        "a@b.example?cc=c@d.example",
        "a@b.example,c@d.example",
        "a@b.example\nBcc: c@d.example",
        "https://acme.example@evil.example/",
        "https://acme.example/ a",
        "https://acme.example\\@evil.example",
        "https://аcme.example",  # noqa: RUF001 - a Cyrillic letter is what this is about
        "x https://acme.example",
    ],
)
def test_anything_else_is_text(text: str) -> None:
    assert "<" not in linked(text)


def test_quotes_in_a_url_stay_in_it() -> None:
    assert linked('https://a.example/"onclick="x') == (
        '<a href="https://a.example/&quot;onclick=&quot;x" rel="noreferrer">a.example/&quot;onclick=&quot;x</a>'
    )
