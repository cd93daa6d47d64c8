import csv
import io

import pytest

from proxy.callers.render.cells import csv_text, markdown_table
from tests.callers.lines import NOW


def test_csv_has_times_for_machines_and_nothing_for_none() -> None:
    assert csv_text(["at", "number", "text"], [[NOW, 1, None]]) == "at,number,text\r\n2026-11-24T00:00:00Z,1,\r\n"


@pytest.mark.parametrize("text", ["=1+1", "\t@x", "\uff1d1"])
def test_no_text_is_a_formula_and_a_number_stays_one(text: str) -> None:
    [[cell, number]] = csv.reader(io.StringIO(csv_text(["text", "number"], [[text, -1]]).partition("\r\n")[2]))
    assert (cell[0], number) == ("'", "-1")


def test_untrusted_text_in_markdown_is_code() -> None:
    table = markdown_table(["name", "calls"], [["@team|x", "1"], ["-", "2"]], numbers={"calls"}, untrusted={"name"})
    assert list(table) == ["| name | calls |", "| --- | ---: |", "| `@team\\|x` | 1 |", "| - | 2 |"]
