import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.output.encoding import encodable, escaped, let_standard_output_escape

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_escaped_text_is_what_json_reads(text: str) -> None:
    assert json.loads(f'"{escaped(text)}"') == text


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "gb18030"]))
def test_any_text_can_be_printed_in_any_encoding(text: str, encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)

    out.write(encodable(text, out))


def test_what_an_encoding_has_is_left_alone() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")

    assert encodable("Zürich 夜 😀", latin) == r"Zürich \u591c \ud83d\ude00"
    assert encodable("Zürich 夜 😀", io.StringIO()) == "Zürich 夜 😀"


def test_standard_output_escapes_what_its_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    let_standard_output_escape()
    sys.stdout.write("nightly 夜\udcff")
    sys.stdout.flush()

    assert written.getvalue() == b"nightly \\u591c\\udcff"


def test_another_standard_output_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    let_standard_output_escape()
