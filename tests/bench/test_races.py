from functools import partial

import pytest

from tests.bench import races
from tests.bench.contenders import SUBJECT, Contender
from tests.bench.stage import cores
from tests.deploy.tools import program

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy"}


@pytest.mark.parametrize(
    "contender",
    [SUBJECT, Contender("nginx", partial(races.nginx, buffering="off")), Contender("haproxy", races.haproxy)],
    ids=lambda contender: contender.name,
)
def test_each_contender_takes_part_in_each_race(contender: Contender) -> None:
    if contender.name in PACKAGES:
        program(contender.name, PACKAGES[contender.name])
    found = races.raced(contender, cores()[0], tries=1)
    assert set(found) == races.RACES.keys() | races.SLOW_RACES.keys()
