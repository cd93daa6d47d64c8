from datetime import timedelta

import pytest

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.doubts import Doubt
from proxy.callers.report.verdict import conclude, is_covered
from tests.callers.lines import DAY, NOW

KEPT = Coverage(Span(NOW - 90 * DAY, NOW), (Span(NOW - 90 * DAY, NOW),))


def test_a_doubt_keeps_the_verdict_from_safe_until_it_has_passed() -> None:
    assert conclude([], KEPT).verdict == "safe"
    lost, silent = Doubt("lost", NOW - DAY, NOW + 9 * DAY), Doubt("silent", NOW, None)

    assert conclude([], KEPT, doubts=[lost]) == ("cannot_tell", ["lost"], NOW + 9 * DAY)
    assert conclude([], KEPT, doubts=[silent]) == ("cannot_tell", ["silent"], NOW)
    assert conclude([], KEPT, doubts=[silent, lost]) == ("cannot_tell", ["silent", "lost"], NOW + 9 * DAY)


@pytest.mark.parametrize(("missing", "is_kept"), [(0.44, True), (0.46, False)])
def test_a_log_may_lack_a_hundredth_of_the_time(missing: float, is_kept: bool) -> None:
    begin, end = NOW - 90 * DAY, NOW - 9 * DAY
    kept = Coverage(Span(begin, NOW), (Span(begin, end), Span(end + missing * DAY, NOW)))

    assert is_covered(kept, timedelta(days=45)) is is_kept
    assert (conclude([], kept).verdict == "safe") is is_kept
