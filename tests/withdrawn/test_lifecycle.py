import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import (
    Decision,
    Headers,
    Phase,
    Policy,
    PolicySubject,
    Refusal,
    announcement,
    changes_between,
    decide,
    links,
    next_change,
    planned_brownouts,
    planned_changes,
    sunset_for,
)

DEPRECATED = datetime(2025, 12, 1, tzinfo=UTC)
SUNSET = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MOSCOW = timezone(timedelta(hours=3))
PAGE = "https://docs.example/moving?to=runs&from=trigger"
SUCCESSOR = "https://api.example/repos/acme/shop,2;a/cicd/runs"

POLICY = Policy(DEPRECATED, SUNSET, PAGE)
WHO = PolicySubject("nightly", "team-a")


def phase(policy: Policy, now: datetime) -> Phase:
    return decide(policy, WHO, now).phase


def announced(policy: Policy) -> Headers:
    return announcement(policy, WHO)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (DEPRECATED - TICK, "announced"),
        (DEPRECATED, "deprecated"),
        (DEPRECATED + TICK, "deprecated"),
        (SUNSET - TICK, "deprecated"),
        (SUNSET, "sunset"),
        (SUNSET + TICK, "sunset"),
        (SUNSET + timedelta(days=36500), "sunset"),
        (datetime(1970, 1, 1, tzinfo=UTC), "announced"),
    ],
)
def test_a_boundary_belongs_to_the_later_phase(now: datetime, expected: Phase) -> None:
    assert phase(POLICY, now) == expected


def test_a_boundary_is_the_same_moment_in_every_time_zone() -> None:
    midnight_in_moscow = datetime(2025, 12, 1, tzinfo=MOSCOW)

    assert phase(POLICY, midnight_in_moscow) == "announced"
    assert phase(POLICY, midnight_in_moscow + timedelta(hours=3)) == "deprecated"
    assert phase(POLICY._replace(deprecated=midnight_in_moscow), DEPRECATED - timedelta(hours=3)) == "deprecated"
    assert phase(POLICY._replace(deprecated=midnight_in_moscow), DEPRECATED - timedelta(hours=3) - TICK) == "announced"


def test_without_a_sunset_a_deprecated_endpoint_stays_deprecated() -> None:
    assert phase(POLICY._replace(sunset=None), datetime.max.replace(tzinfo=UTC)) == "deprecated"


def test_without_a_deprecation_date_it_is_announced_until_the_sunset() -> None:
    policy = POLICY._replace(deprecated=None)

    assert phase(policy, SUNSET - TICK) == "announced"
    assert phase(policy, SUNSET) == "sunset"


def test_without_any_date_it_is_announced() -> None:
    assert phase(Policy(None, None, None), datetime.max.replace(tzinfo=UTC)) == "announced"


def test_at_one_moment_for_both_the_sunset_wins() -> None:
    assert phase(Policy(SUNSET, SUNSET, None), SUNSET) == "sunset"


# --- who is refused

MOVED = datetime(2026, 3, 1, tzinfo=UTC)
FREEZE = datetime(2026, 1, 15, tzinfo=UTC)
LATER = SUNSET + timedelta(days=90)
DARK = Window(datetime(2026, 2, 1, 10, tzinfo=UTC), datetime(2026, 2, 1, 11, tzinfo=UTC))
REFUSING = POLICY._replace(freeze=FREEZE, brownouts=(Brownout(Once(DARK)),))


@pytest.mark.parametrize(
    ("subject", "now", "expected"),
    [
        (WHO, DARK.begin - TICK, Decision("deprecated")),
        (WHO, DARK.begin, Decision("brownout", Refusal("brownout", DARK.end))),
        (WHO, DARK.end - TICK, Decision("brownout", Refusal("brownout", DARK.end))),
        (WHO, DARK.end, Decision("deprecated")),
        (WHO, SUNSET - TICK, Decision("deprecated")),
        (WHO, SUNSET, Decision("sunset", Refusal("sunset"))),
        (WHO._replace(extension=LATER), SUNSET, Decision("deprecated")),
        (WHO._replace(extension=LATER), LATER - TICK, Decision("deprecated")),
        (WHO._replace(extension=LATER), LATER, Decision("sunset", Refusal("sunset"))),
        (WHO._replace(migrated=MOVED), MOVED - TICK, Decision("deprecated")),
        (WHO._replace(migrated=MOVED), MOVED, Decision("sunset", Refusal("migrated"))),
        (WHO._replace(migrated=MOVED, extension=LATER), SUNSET, Decision("sunset", Refusal("migrated"))),
        (WHO._replace(is_new=True), FREEZE - TICK, Decision("deprecated")),
        (WHO._replace(is_new=True), FREEZE, Decision("deprecated", Refusal("frozen"))),
        (WHO._replace(is_new=True), DARK.begin, Decision("deprecated", Refusal("frozen"))),
        (WHO._replace(is_new=True), SUNSET, Decision("sunset", Refusal("sunset"))),
        (WHO._replace(extension=LATER, is_new=True), SUNSET, Decision("deprecated", Refusal("frozen"))),
    ],
)
def test_the_decision_on_either_side_of_each_boundary(
    subject: PolicySubject, now: datetime, expected: Decision
) -> None:
    assert decide(REFUSING, subject, now) == expected


def test_the_sunset_ends_a_window_that_lasts_beyond_it() -> None:
    over = Window(SUNSET - timedelta(hours=1), SUNSET + timedelta(hours=1))
    policy = POLICY._replace(brownouts=(Brownout(Once(over)),))

    assert decide(policy, WHO, SUNSET - TICK) == Decision("brownout", Refusal("brownout", over.end))
    assert decide(policy, WHO, SUNSET) == Decision("sunset", Refusal("sunset"))
    assert decide(policy, WHO._replace(extension=LATER), SUNSET).phase == "brownout"


def test_of_windows_that_overlap_the_longer_one_counts() -> None:
    longer = Window(DARK.begin + timedelta(minutes=30), DARK.end + timedelta(minutes=30))
    policy = POLICY._replace(brownouts=(Brownout(Once(longer)), Brownout(Once(DARK))))

    assert decide(policy, WHO, DARK.end - TICK).refusal == Refusal("brownout", longer.end)


def test_a_window_for_somebody_else_is_none() -> None:
    policy = POLICY._replace(brownouts=(Brownout(Once(DARK), ("weekly",)), Brownout(Once(DARK), (), ("team-a",))))

    assert decide(policy, WHO, DARK.begin) == Decision("deprecated")
    assert decide(policy, PolicySubject("weekly"), DARK.begin).phase == "brownout"


def test_an_extension_without_a_sunset_changes_nothing() -> None:
    assert sunset_for(POLICY._replace(sunset=None), WHO._replace(extension=LATER)) is None


def test_an_extension_is_announced_to_whom_it_is_for() -> None:
    assert announcement(POLICY, WHO._replace(extension=LATER))[1] == (b"sunset", b"Mon, 28 Sep 2026 23:59:59 GMT")
    assert announcement(POLICY, WHO)[1] == (b"sunset", b"Tue, 30 Jun 2026 23:59:59 GMT")


# --- what is to come


def test_the_next_changes_come_in_their_order() -> None:
    weekly = Brownout(Recurring("0 12 * * MON", timedelta(minutes=10), UTC))
    policy = REFUSING._replace(brownouts=(weekly, *REFUSING.brownouts))
    found = planned_changes(policy, datetime(2026, 1, 12, 12, tzinfo=UTC), 4)

    assert [(change.kind, change.at.date().isoformat()) for change in found] == [
        ("freeze", "2026-01-15"),
        ("brownout", "2026-01-19"),
        ("brownout", "2026-01-26"),
        ("brownout", "2026-02-01"),
    ]
    assert (found[3].until, found[3].brownout) == (DARK.end, REFUSING.brownouts[0])
    assert [change.kind for change in planned_changes(REFUSING, DARK.begin, 9)] == ["sunset"]
    assert planned_changes(REFUSING, SUNSET, 9) == []


def test_changes_between_two_times_are_past_ones_too() -> None:
    weekly = Brownout(Recurring("0 12 * * MON", timedelta(minutes=10), UTC))
    policy = REFUSING._replace(brownouts=(weekly, *REFUSING.brownouts))
    begin, end = datetime(2026, 1, 12, 12, tzinfo=UTC), datetime(2026, 1, 26, 12, tzinfo=UTC)
    found = changes_between(policy, begin, end)

    assert [(change.kind, change.at.date().isoformat()) for change in found] == [
        ("brownout", "2026-01-12"),
        ("freeze", "2026-01-15"),
        ("brownout", "2026-01-19"),
    ]
    assert (found[0].until, found[0].brownout) == (begin + timedelta(minutes=10), weekly)
    assert len(changes_between(policy, begin, end + TICK)) == 4


def test_the_windows_of_a_brownout_are_bounded() -> None:
    each_minute = Policy(brownouts=(Brownout(Recurring("* * * * *", timedelta(seconds=10), UTC)),))
    assert len(changes_between(each_minute, DEPRECATED, SUNSET)) == 1000


@pytest.mark.parametrize(
    ("subject", "after", "kind", "at"),
    [
        (WHO, DEPRECATED - TICK, "deprecated", DEPRECATED),
        (WHO, DEPRECATED, "brownout", DARK.begin),
        (WHO, DARK.begin, "sunset", SUNSET),
        (WHO._replace(extension=LATER), DARK.begin, "extension", LATER),
        (WHO._replace(migrated=MOVED), DARK.begin, "migrated", MOVED),
        (WHO._replace(is_new=True), DEPRECATED, "freeze", FREEZE),
    ],
)
def test_what_comes_next_for_a_caller(subject: PolicySubject, after: datetime, kind: str, at: datetime) -> None:
    change = next_change(REFUSING, subject, after)

    assert change is not None
    assert (change.kind, change.at) == (kind, at)


@pytest.mark.parametrize(
    ("subject", "after"),
    [(WHO, SUNSET), (WHO._replace(migrated=MOVED), MOVED), (WHO._replace(is_new=True), FREEZE)],
)
def test_for_who_is_refused_for_good_nothing_comes(subject: PolicySubject, after: datetime) -> None:
    assert next_change(REFUSING, subject, after) is None


def test_what_hits_somebody_else_does_not_come_for_a_caller() -> None:
    policy = Policy(DEPRECATED, brownouts=(Brownout(Once(DARK), ("weekly",)),))

    assert next_change(policy, WHO, DEPRECATED) is None


# --- the headers


def test_deprecation_is_the_example_of_rfc_9745() -> None:
    examples = Policy(datetime.fromtimestamp(1688169599, UTC), None, None)

    assert announced(examples) == [(b"deprecation", b"@1688169599")]


@pytest.mark.parametrize(
    "deprecated",
    [
        DEPRECATED,
        DEPRECATED + timedelta(microseconds=999_999),
        datetime(2025, 12, 1, 3, tzinfo=MOSCOW),
        datetime(2025, 11, 30, 19, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_deprecation_is_whole_seconds_since_the_epoch_from_any_time_zone(deprecated: datetime) -> None:
    assert announced(Policy(deprecated, None, None)) == [(b"deprecation", b"@1764547200")]


@pytest.mark.parametrize(
    "sunset",
    [
        SUNSET,
        SUNSET + timedelta(microseconds=999_999),
        datetime(2026, 7, 1, 2, 59, 59, tzinfo=MOSCOW),
        datetime(2026, 6, 30, 13, 29, 59, tzinfo=timezone(-timedelta(hours=10, minutes=30))),
    ],
)
def test_sunset_is_a_date_of_http_in_gmt_from_any_time_zone(sunset: datetime) -> None:
    assert announced(Policy(None, sunset, None)) == [(b"sunset", b"Tue, 30 Jun 2026 23:59:59 GMT")]


IMF_FIXDATE = re.compile(
    rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    rb"\d{4} \d{2}:\d{2}:\d{2} GMT"
)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(deadline=None)
@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES))
def test_any_date_has_the_syntax_and_the_value_of_both_headers(moment: datetime) -> None:
    headers = dict(announced(Policy(moment, moment, None)))

    assert headers[b"deprecation"] == b"@%d" % moment.replace(microsecond=0).timestamp()
    assert IMF_FIXDATE.fullmatch(headers[b"sunset"])
    read = datetime.strptime(headers[b"sunset"].decode(), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert read == moment.replace(microsecond=0)


def test_a_date_that_is_not_set_is_not_announced() -> None:
    assert announced(Policy(None, None, PAGE)) == []
    assert [name for name, _ in announced(Policy(DEPRECATED, None, PAGE))] == [b"deprecation"]
    assert [name for name, _ in announced(Policy(None, SUNSET, PAGE))] == [b"sunset"]
    assert [name for name, _ in announced(POLICY)] == [b"deprecation", b"sunset"]


Link = tuple[str, dict[str, str]]

TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
LINK_TARGET = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+)>")
LINK_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({TCHAR}+)=(?:({TCHAR}+)|"([^"\\]*)")')
LINK_COMMA = re.compile(r"[ \t]*,[ \t]*")


def parsed(header: str) -> list[Link]:
    """RFC 8288, section 3, without what it only tolerates."""
    found: list[Link] = []
    at = 0
    while True:
        target = LINK_TARGET.match(header, at)
        assert target, header[at:]
        at = target.end()
        parameters: dict[str, str] = {}
        while parameter := LINK_PARAMETER.match(header, at):
            name, token, quoted = parameter.groups()
            assert name not in parameters
            parameters[name] = token if token is not None else quoted
            at = parameter.end()
        found.append((target[1], parameters))
        if at == len(header):
            return found
        comma = LINK_COMMA.match(header, at)
        assert comma, header[at:]
        at = comma.end()


@pytest.mark.parametrize(
    "wrong", ["", "<a b>", "<https://a>,", "<https://a> rel=x", "https://a; rel=x", '<https://a>; rel="x']
)
def test_the_parser_of_links_used_here_is_strict(wrong: str) -> None:
    with pytest.raises(AssertionError):
        parsed(wrong)


def test_the_links_are_the_callers_own_successor_and_the_documentation() -> None:
    [(name, value)] = links(POLICY, SUCCESSOR)

    assert name == b"link"
    successor, documentation = parsed(value.decode("ascii"))
    assert successor == (SUCCESSOR, {"rel": "successor-version"})
    assert documentation[0] == PAGE
    assert documentation[1]["rel"] == "deprecation"


def test_a_call_without_a_successor_is_linked_to_the_documentation_alone() -> None:
    [(_, value)] = links(POLICY, None)

    assert [parameters["rel"] for _, parameters in parsed(value.decode("ascii"))] == ["deprecation"]


def test_without_documentation_the_successor_alone_is_linked() -> None:
    [(_, value)] = links(POLICY._replace(documentation=None), SUCCESSOR)

    assert parsed(value.decode("ascii")) == [(SUCCESSOR, {"rel": "successor-version"})]


def test_without_either_there_is_no_link_header() -> None:
    assert links(POLICY._replace(documentation=None), None) == []


def test_the_brownouts_of_a_caller_end_when_it_is_refused_for_good() -> None:
    weekly = Brownout(Recurring("0 12 * * MON", timedelta(minutes=10), UTC), ("nightly",))
    first = Window(datetime(2026, 6, 15, 12, tzinfo=UTC), datetime(2026, 6, 15, 12, 10, tzinfo=UTC))
    later = [Window(first.begin + timedelta(days=days), first.end + timedelta(days=days)) for days in (7, 14, 21)]
    policy, after = (
        POLICY._replace(brownouts=(weekly, weekly, Brownout(Once(later[0])))),
        datetime(2026, 6, 15, tzinfo=UTC),
    )

    assert planned_brownouts(policy, WHO, after, 9) == [first, *later[:2]]
    assert planned_brownouts(policy, WHO, after, 2) == [first, later[0]]
    assert planned_brownouts(policy, WHO._replace(extension=SUNSET + timedelta(days=7)), after, 9) == [first, *later]
    assert planned_brownouts(policy, WHO._replace(name="weekly"), after, 9) == [later[0]]
    assert planned_brownouts(policy, WHO._replace(migrated=DEPRECATED), after, 9) == []
