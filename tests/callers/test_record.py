import msgspec
import pytest

from proxy.callers.record import SCHEMA, Heartbeat, Record
from tests.callers.lines import NOW, call

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
