from proxy.callers.report.coverage import Span, measure_coverage
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.rows import caller_rows
from tests.callers.aggregating import aggregated, calls_of
from tests.callers.lines import DAY, NOW, beats
from tests.callers.strangers import stranger, with_token


def test_callers_beyond_the_limit_share_a_row_that_holds_the_verdict() -> None:
    records = [with_token(NOW - 60 * DAY + n * DAY, token=f"{n:012x}") for n in range(30)]
    tallies = aggregated(records, callers=3).tallies()

    assert {name: tally.calls for (_, name), tally in tallies.items()} == {
        "token:000000000000": 1,
        "token:000000000001": 1,
        "token:000000000002": 1,
        "(others)": 27,
    }
    coverage = measure_coverage(beats(NOW - 70 * DAY), Span(NOW - 70 * DAY, NOW))
    rows = caller_rows(tallies.values(), coverage, dict.fromkeys((name for _, name in tallies), PolicyEffect()))
    others = next(row for row in rows if row.name == "(others)")
    # Each may be a monthly job, however often all of them called.
    assert (others.state, others.interval, others.retired_at) == ("quiet", None, NOW - 31 * DAY + 62 * DAY)


def test_a_caller_that_a_rule_names_always_has_a_row() -> None:
    records = [*(with_token(token=f"{n:012x}") for n in range(9)), stranger(agent="nightly/1")]

    assert calls_of(aggregated(records, callers=1))["nightly"] == 1


def test_networks_beyond_the_limit_share_a_row() -> None:
    found = aggregated([stranger(client_ip=f"10.1.{n}.1") for n in range(9)], networks=2)

    assert calls_of(found) == {
        "strangers in 10.1.0.0/24": 1,
        "strangers in 10.1.1.0/24": 1,
        "strangers elsewhere": 7,
    }
    assert {tally.source for tally in found.tallies().values()} == {"stranger"}
