import json

import pytest

from proxy.calls.call import Call, Language, Variable
from proxy.calls.write import literals

CALL = Call("curl", Language.SHELL, "POST", "", variables={"\ue000": Variable("x", is_list=True)})
STYLE = literals.Style({True: "yes", False: "no", None: "none"}, json.dumps, lambda key: key)


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ('{"a": [1, 2.50, 1e400, -0], "b": "c"}', '{a: [1, 2.50, 1e400, -0], b: "c"}'),
        ("[true, false, null, {}, []]", "[yes, no, none, {}, []]"),
        ('{"a": ["\ue000"]}', '{a: "\\ue000"}'),
        ('{"a": ["\ue000", 1]}', '{a: ["\\ue000", 1]}'),
    ],
)
def test_a_value_that_fits_is_written_in_a_line(body: str, written: str) -> None:
    assert literals.write(literals.parse(body), STYLE, CALL) == written


def test_a_value_that_does_not_fit_has_an_item_on_each_line() -> None:
    long = "x" * 90
    assert literals.write({"a": [long, "b"], "c": True}, STYLE, CALL) == (
        f'{{\n    a: [\n        "{long}",\n        "b",\n    ],\n    c: yes,\n}}'
    )
