from datetime import datetime, timedelta

import pytest

from proxy.commands import log_options
from tests.callers.lines import NOW


def test_the_time_is_the_real_one_where_no_test_has_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    assert abs(log_options.now() - datetime.now(NOW.tzinfo)) < timedelta(minutes=5)
