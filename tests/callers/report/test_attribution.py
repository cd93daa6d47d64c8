from proxy.callers.log.lives import Lives
from proxy.callers.report.coverage import Span, measure_coverage
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.rows import Judge, caller_rows
from tests.callers.aggregating import aggregated, calls_of
from tests.callers.lines import DAY, NOW, beats, call
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
    coverage = measure_coverage(Lives(beats(NOW - 70 * DAY)), Span(NOW - 70 * DAY, NOW))
    effects = dict.fromkeys((name for _, name in tallies), PolicyEffect())
    rows = caller_rows(tallies.values(), coverage.period, Judge(tallies.values(), coverage), effects)
    others = next(row for row in rows if row.name == "(others)")
    # One of them may have called on the first of these 26 days and on the last, however often all of them called.
    after = 31 * DAY + 1.5 * 26 * DAY
    assert (others.state, others.interval, others.retired_at) == ("quiet", None, NOW - 31 * DAY + after)


def test_a_caller_that_a_rule_names_always_has_a_row() -> None:
    records = [*(with_token(token=f"{n:012x}") for n in range(9)), stranger(agent="nightly/1")]

    assert calls_of(aggregated(records, callers=1))["nightly"] == 1


def test_jobs_beyond_the_limit_are_not_told_apart_and_hold_the_verdict() -> None:
    records = [call(NOW - days * DAY, workflow=f"w{n}") for n, days in enumerate((200, 100, 100, 99))]
    records += [call(NOW - 8 * DAY, workflow="w3")]
    [tally] = aggregated(records, jobs=1).tallies().values()
    coverage = measure_coverage(Lives(beats(NOW - 300 * DAY)), Span(NOW - 300 * DAY, NOW))

    assert [name.workflow for name in tally.jobs.named] == ["w0"]
    assert Judge([tally], coverage).activity(tally).seconds_left == (31 + 1.5 * 92 - 8) * 86400


def test_networks_beyond_the_limit_share_a_row() -> None:
    found = aggregated([stranger(client_ip=f"10.1.{n}.1") for n in range(9)], networks=2)

    assert calls_of(found) == {
        "strangers in 10.1.0.0/24": 1,
        "strangers in 10.1.1.0/24": 1,
        "strangers elsewhere": 7,
    }
    assert {tally.source for tally in found.tallies().values()} == {"stranger"}
