from datetime import timedelta

import msgspec

from proxy.callers.ledger.details import LAST_CALLS, KeyDetails
from proxy.callers.record import CallRecord
from tests.callers.lines import NOW, call, line

MINUTE = timedelta(minutes=1)


def of(*records: CallRecord) -> KeyDetails:
    details = KeyDetails()
    for record in records:
        details.add_fields(record.status, record.outcome, line(record))
    details.add_last((record.ts, line(record)) for record in records)
    return details


def test_errors_and_ignored_fields_are_counted() -> None:
    details = of(
        call(NOW, ignored_fields=["image", "env"]),
        call(NOW, ignored_fields=["image"], hint="trigger_body"),
        call(NOW, status=404, outcome="upstream_error", error_code="not_found"),
        call(NOW, status=502, outcome="unreachable"),
    )

    assert details.errors == {"404 not_found": 1, "502 unreachable": 1}
    assert details.ignored_fields == {"image": 2, "env": 1}
    assert details.trigger_fields == {"image": 1}


def test_the_last_calls_are_kept_in_order_and_say_the_rest() -> None:
    records = [call(NOW + number * MINUTE, path=f"/{number}", inputs=[f"i{number}"]) for number in range(14)]
    details = of(*records[7:], *records[:7])

    assert [last.path for last in details.last_calls] == [f"/{number}" for number in range(4, 14)]
    assert (details.last, details.path) == (NOW + 13 * MINUTE, "/13")
    assert set(details.inputs) == {f"i{number}" for number in range(14)}


def test_two_parts_are_the_same_as_the_whole_however_they_are_merged() -> None:
    records = [
        call(NOW + number * MINUTE, inputs=["a"], status=500, outcome="upstream_error")
        for number in range(LAST_CALLS + 5)
    ]
    whole, one, other = of(*records), of(*records[:6]), of(*records[6:])
    one.merge(other)
    other.merge(of(*records[:6]))

    assert msgspec.to_builtins(one) == msgspec.to_builtins(other) == msgspec.to_builtins(whole)


def test_what_a_caller_makes_up_is_bounded() -> None:
    details = of(*[call(NOW, ignored_fields=[f"f{number}"], inputs=[f"i{number}"]) for number in range(300)])

    assert (len(details.ignored_fields), len(details.inputs) <= 100) == (100, True)


def test_lines_of_something_else_have_no_details() -> None:
    details = KeyDetails()
    details.add_fields(500, "upstream_error", b'{"event":"deprecated_call","method":7}')
    details.add_last([(NOW, b'{"path":"/"}'), (NOW, line(call(NOW, path="/" * 9000)))])

    assert details == KeyDetails()
