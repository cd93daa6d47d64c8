from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.hours import Hours
from proxy.callers.report.tally import CallKey

KEY = CallKey("trigger", "nightly", "known", "brownout", 410, "acme", "shop", None, "build", None, None, None, None)
OTHER = KEY._replace(workflow="deploy")


def test_refused_calls_are_counted_by_job_and_hour() -> None:
    calls = BrownoutCalls()
    for key, refused in ((KEY, {7: 1, 8: 2}), (KEY, {8: 3}), (OTHER, {8: 1})):
        calls.add("nightly", key, refused, Hours.of(refused))

    assert calls.callers["nightly"].refused == {KEY.job: {7: 1, 8: 5}, OTHER.job: {8: 1}}
    assert list(calls.callers["nightly"].let_through) == []


def test_others_were_let_through_unless_no_brownout_changes_them() -> None:
    calls = BrownoutCalls()
    for hour, outcome in enumerate(("forwarded", "timeout", "gone", "rejected"), 7):
        calls.add("nightly", KEY._replace(outcome=outcome), {}, Hours.of({hour: 1}))

    assert list(calls.callers["nightly"].let_through) == [7, 8]
