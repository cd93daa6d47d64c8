import re

from proxy.scan.nearby import Nearby


def test_a_place_is_near_if_it_begins_between_two_offsets() -> None:
    near = Nearby(re.compile("ab"), "..ab...ab")

    assert [near.has(first, first + 2) for first in range(-1, 9)] == [
        False, False, True, True, False, False, False, True, True, False,
    ]  # fmt: skip
