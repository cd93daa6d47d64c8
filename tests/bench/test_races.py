from functools import partial

import pytest

from tests.bench import races
from tests.bench.contenders import SUBJECT, Contender
from tests.bench.stage import cores
from tests.support.programs import program


@pytest.mark.parametrize(
    "contender",
    [SUBJECT, Contender("nginx", partial(races.nginx, buffering="off")), Contender("haproxy", races.haproxy)],
    ids=lambda contender: contender.name,
)
def test_each_contender_takes_part_in_each_race(contender: Contender) -> None:
    if contender is not SUBJECT:
        program(contender.name)
    found = races.raced(contender, cores()[0], tries=1)
    assert set(found) == races.RACES.keys() | races.SLOW_RACES.keys()
