from datetime import timedelta, timezone

from proxy.callers.ledger.counts import Counts, Strangers
from proxy.callers.ledger.schema import KEY
from proxy.callers.record import CallRecord
from tests.callers.ledger.reading import counted
from tests.callers.lines import DAY, NOW, beats, call

HOUR = timedelta(hours=1)
TOKEN = "0" * 12


def stranger(number: int, at: object = NOW, **fields: object) -> CallRecord:
    fields = {
        "status": 401,
        "outcome": "upstream_error",
        "caller_source": "token",
        "client_ip": f"10.0.{number}.7",
    } | fields
    return call(at, f"token:{number}", token=f"{number:012}", **fields)  # type: ignore[arg-type]


def callers(counts: Counts) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, key), count in counts.days.items():
        found[key[KEY.index("caller")]] = found.get(key[KEY.index("caller")], 0) + sum(count.hours.values())
    return found


def test_calls_are_added_up_by_day_and_hour() -> None:
    counts = counted(call(NOW + HOUR), call(NOW), call(NOW + timedelta(minutes=59)), call(NOW - timedelta(seconds=1)))
    today, yesterday = (
        next(count for (day, _), count in counts.days.items() if day == wanted.toordinal())
        for wanted in (NOW, NOW - DAY)
    )

    assert (today.first, today.last, today.hours) == (NOW, NOW + HOUR, {0: 2, 1: 1})
    assert (yesterday.first, yesterday.hours) == (NOW - timedelta(seconds=1), {23: 1})


def test_hours_are_those_of_utc() -> None:
    counts = counted(call(NOW.astimezone(timezone(-5 * HOUR))))

    assert [(day, count.hours) for (day, _), count in counts.days.items()] == [(NOW.toordinal(), {0: 1})]


def test_records_whose_time_cannot_be_right_are_left_out() -> None:
    counts = counted(call(NOW + DAY), call(NOW.replace(year=1970)), *beats(NOW + 2 * DAY, NOW + 2 * DAY), call(NOW))

    assert (counts.misdated, len(counts.days), counts.heartbeats) == (3, 1, [])


def test_the_last_record_of_each_process_is_known() -> None:
    counts = counted(call(NOW, instance="a:1"), call(NOW - HOUR, instance="a:1"), call(NOW, instance="b:2"), call(NOW))

    assert counts.seen == {"a:1": NOW, "b:2": NOW}


def test_only_the_last_lines_of_a_day_are_kept() -> None:
    [count] = counted(*[call(NOW + timedelta(seconds=number)) for number in range(50)]).days.values()

    assert [moment for moment, _ in count.lines] == [NOW + timedelta(seconds=number) for number in range(40, 50)]


def bounded(strangers: Strangers, *records: CallRecord) -> dict[str, int]:
    return callers(counted(*records, strangers=strangers))


def test_strangers_beyond_the_limit_are_counted_by_network_and_then_together() -> None:
    found = bounded(Strangers(most=3), *[stranger(number) for number in range(20)], stranger(0), stranger(9))

    assert found == {
        **{f"token:{number}": 1 + (number == 0) for number in range(3)},
        "10.0.3.0": 1,
        "10.0.4.0": 1,
        "10.0.5.0": 1,
        "unknown": 15,
    }


def test_no_call_is_lost_in_a_fold_and_its_outcome_stays() -> None:
    records = [stranger(number, status=401 + number % 2) for number in range(50)]
    counts = counted(*records, strangers=Strangers(most=1))
    statuses = [0, 0]
    for (_, key), count in counts.days.items():
        statuses[key[KEY.index("status")] - 401] += sum(count.hours.values())

    assert statuses == [25, 25]


def test_each_day_has_a_limit_of_its_own() -> None:
    strangers = Strangers(most=1)
    found = bounded(strangers, stranger(1), stranger(2), stranger(3, NOW + HOUR), stranger(4, NOW - DAY))

    assert found == {"token:1": 1, "10.0.2.0": 1, "unknown": 1, "token:4": 1}


def test_strangers_have_only_so_many_keys_in_all() -> None:
    strangers = Strangers(most=10, in_all=3)
    days = [stranger(number, NOW - number * DAY) for number in range(8)]
    found = bounded(strangers, *days, *days)

    assert found == {
        **{f"token:{number}": 2 for number in range(3)},
        **{f"10.0.{number}.0": 2 for number in range(3, 6)},
        "unknown": 4,
    }


def test_keys_that_are_stored_already_are_counted_on() -> None:
    before = Strangers(in_all=1)
    bounded(before, stranger(1), stranger(2))
    after = Strangers(in_all=1)
    after.stored = before.stored

    assert bounded(after, stranger(3, NOW - DAY), stranger(1), stranger(2)) == {
        "unknown": 1,
        "token:1": 1,
        "10.0.2.0": 1,
    }


def test_callers_whose_token_the_service_accepts_are_never_folded() -> None:
    strangers = Strangers(proven=[TOKEN], most=0)
    accepted = [call(NOW, "b", token="b", user_agent=f"b/{number}") for number in range(5)]
    later = call(NOW, "b", token="b", status=404, outcome="upstream_error")
    known = call(NOW, "a", token=TOKEN, status=404, outcome="upstream_error")

    assert bounded(strangers, known, *accepted, later, stranger(1)) == {"a": 1, "b": 6, "unknown": 1}
