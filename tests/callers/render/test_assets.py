import base64
import hashlib

from proxy.callers.render.assets import POLICY, SCRIPT, STYLE


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    style, script = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (STYLE, SCRIPT)
    )
    assert POLICY.split("; ") == [
        "default-src 'none'",
        f"style-src {style}",
        f"script-src {script}",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_they_load_nothing_and_make_no_markup() -> None:
    for text in ("url(", "@import", "@font-face"):
        assert text not in STYLE
    for text in ("fetch(", "XMLHttpRequest", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "import("):
        assert text not in SCRIPT


def test_they_can_stand_in_a_page_that_is_read_as_xml() -> None:
    assert not set(STYLE + SCRIPT) & set("<&")
