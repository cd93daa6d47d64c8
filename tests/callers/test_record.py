from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.record import MARK, SCHEMA, CallRecord, Heartbeat, Record, bounded
from tests.callers.lines import NOW, beats, call

FULL = call(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    successor="/repos/acme/shop/cicd/runs",
    org="acme",
    repo="shop",
    repo_id="5",
    workflow="release/prod",
    owner="team-a",
    token="0123456789ab",
    client_ip="2001:db8::1",
    user_agent="curl/8",
    run_user="alice",
    upstream_status=200,
    error_code="NotFound",
    run="7",
    trigger_status="created",
    inputs=["a", "b"],
    ignored_fields=["inputs"],
    duration_ms=12.345,
    upstream_ms=11.0,
    client_gone=True,
)


@pytest.mark.parametrize("record", [call(), FULL, Heartbeat(SCHEMA, NOW, "stop", 0.5, "host:1")])
def test_a_record_is_read_back_as_written(record: Record) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


@pytest.mark.parametrize("record", [call(), Heartbeat(SCHEMA, NOW, "start", 3600, "host:1")])
def test_unknown_fields_are_ignored(record: Record) -> None:
    later = msgspec.json.decode(msgspec.json.encode(record)) | {"of_a_later_version": {"any": ["thing"]}}

    assert msgspec.json.decode(msgspec.json.encode(later), type=Record) == record


def test_the_record_has_every_field_of_the_design_and_no_other() -> None:
    design = """
        schema event ts request_id trace_id
        endpoint method path successor org repo repo_id workflow
        caller caller_source owner token client_ip user_agent run_user
        phase outcome status upstream_status error_code run trigger_status
        inputs ignored_fields duration_ms upstream_ms client_gone
    """

    assert set(msgspec.json.decode(msgspec.json.encode(FULL))) == set(design.split())


# --- the longest record

TEXTS = ["path", "successor", "caller", "user_agent", "workflow", "request_id", "trace_id", "org", "repo", "repo_id"]
TEXTS += ["owner", "run", "run_user", "error_code"]
LISTS = ("inputs", "ignored_fields")
LONG = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["x", '"', "\x1b", "\u044b", "\U0001f600", "\\"]).flatmap(
        lambda char: st.integers(0, 3000).map(lambda length: char * length)
    ),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TEXTS, LONG) | {name: st.lists(LONG) for name in LISTS}))
def test_a_record_has_about_four_kibibytes_at_most(fields: dict[str, Any]) -> None:
    if {"org", "repo", "repo_id"} & set(fields):  # they are parts of the path
        fields["path"] = f"/{fields.get('org')}/{fields.get('repo')}/{fields.get('repo_id')}/{fields.get('path')}"
    for name in {"request_id", "trace_id"} & set(fields):  # they are short, and plain
        fields[name] = "0" * min(len(fields[name]), 128)
    record = call(**fields)
    cut = bounded(record)

    assert isinstance(cut, CallRecord)
    assert len(msgspec.json.encode(cut)) <= 4608
    assert bounded(cut) == cut
    for name in TEXTS:
        before, after = getattr(record, name), getattr(cut, name)
        assert after == before or (after.endswith(MARK) and before.startswith(after.removesuffix(MARK)))
    for name in LISTS:
        before, after = getattr(record, name), getattr(cut, name)
        assert after == before or (after[-1] == MARK and after[:-1] == before[: len(after) - 1])


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_cut_at_its_own_length(name: str) -> None:
    most = 512 if name in {"path", "successor"} else {"caller": 448, "user_agent": 384, "workflow": 256}.get(name, 128)
    texts: list[dict[str, Any]] = [{"path": "/" + "p" * 200, name: "x" * length} for length in (most, most + 1)]
    exactly, more = (call(**fields) for fields in texts)

    assert bounded(exactly) is not exactly
    assert getattr(bounded(exactly), name) == "x" * most
    assert getattr(bounded(more), name) == "x" * (most - 3) + MARK
    assert getattr(more, name) == "x" * (most + 1)


@pytest.mark.parametrize("name", ["caller", "user_agent", "owner", "run", "run_user", "error_code"])
def test_a_long_text_is_found_whatever_else_is_short(name: str) -> None:
    for text in ("x" * 1000, "\U0001f600" * 127):
        fields: dict[str, Any] = {name: text}
        assert getattr(bounded(call(**fields)), name).endswith(MARK)


@pytest.mark.parametrize("record", [call(), FULL, *beats(NOW)])
def test_what_is_short_is_returned_as_it_is(record: Record) -> None:
    assert bounded(record) is record
