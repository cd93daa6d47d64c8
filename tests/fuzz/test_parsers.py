"""Every input that ever failed, and a few made-up ones for each parser; `make fuzz` makes up many."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import FAILED
from tests.fuzz.parsers import PARSERS
from tests.support.examples import examples

KEPT = sorted(FAILED.glob("*-*"))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name)
def test_an_input_that_once_failed_does_not_fail_again(file: Path) -> None:
    PARSERS[file.name.rpartition("-")[0]].check(file.read_bytes())


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=examples(30))
@given(data=st.data())
def test_a_parser_holds_what_it_promises(name: str, data: st.DataObject) -> None:
    PARSERS[name].check(data.draw(PARSERS[name].inputs))
