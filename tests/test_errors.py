import json
import re
from typing import Any, get_args

import pytest

from proxy import errors
from proxy.errors import Outcome, ProxyError, RunStarted, UpstreamError

# RFC 9209, section 2.3, and the registry that it opens.
PROXY_ERROR_TYPES = set(
    """
    dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
    destination_ip_unroutable connection_refused connection_terminated connection_timeout
    connection_read_timeout connection_write_timeout connection_limit_reached
    tls_protocol_error tls_certificate_error tls_alert_received
    http_request_error http_request_denied http_response_incomplete
    http_response_header_section_size http_response_header_size http_response_body_size
    http_response_trailer_section_size http_response_trailer_size
    http_response_transfer_coding http_response_content_coding http_response_timeout
    http_upgrade_failed http_protocol_error
    proxy_internal_response proxy_internal_error proxy_configuration_error proxy_loop_detected
    """.split()
)


def walked(error: type[ProxyError]) -> list[type[ProxyError]]:
    below = error.__subclasses__()
    return [found for child in below for found in walked(child)] if below else [error]


KINDS = walked(ProxyError)


def made(kind: type[ProxyError]) -> ProxyError:
    return UpstreamError(502) if kind is UpstreamError else kind("What happened.", at="$.input")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def error(request: pytest.FixtureRequest) -> ProxyError:
    return made(request.param)


def body(error: ProxyError, *, starts_run: bool = True) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(error.body("r-1", starts_run=starts_run))
    return read


@pytest.mark.parametrize("starts_run", [False, True])
def test_the_body_is_the_error_schema_with_exactly_its_four_keys(error: ProxyError, starts_run: bool) -> None:
    found = body(error, starts_run=starts_run)

    assert list(found) == ["error_code", "message", "request_id", "details"]
    assert found["error_code"]
    assert found["message"]
    assert found["request_id"] == "r-1"
    assert found["details"]
    assert all(isinstance(value, str) for value in [*found["details"], *found["details"].values()])


def test_where_the_call_starts_a_run_the_details_say_whether_one_was_started(error: ProxyError) -> None:
    assert body(error)["details"]["run_started"] == error.run_started
    assert error.run_started in get_args(RunStarted)


def test_where_the_call_starts_no_run_none_is_spoken_of(error: ProxyError) -> None:
    found, other = body(error, starts_run=False), body(error, starts_run=True)

    assert "run" not in found["message"]
    assert {**found["details"], "run_started": error.run_started} == other["details"]
    assert "run_started" not in found["details"]
    assert other["message"].startswith(found["message"])


@pytest.mark.parametrize("started", get_args(RunStarted))
def test_the_message_gives_other_advice_for_each_answer_to_that(started: RunStarted) -> None:
    advice = {
        known: str(body(errors.InternalError("What happened.", run_started=known))["message"])
        for known in get_args(RunStarted)
    }

    assert advice.pop(started) not in advice.values()


def test_details_that_an_error_was_given_are_kept() -> None:
    error = errors.InvalidBody("What happened.", at="$.input.values")

    assert body(error, starts_run=False)["details"] == {"at": "$.input.values"}
    assert body(error, starts_run=True)["details"] == {"at": "$.input.values", "run_started": "no"}


def test_an_errors_words_cannot_break_out_of_its_body() -> None:
    words = 'a "quote", a \\ and\na line \x00 \u2028 {}'

    assert body(errors.InvalidPath(words))["message"].startswith(words)


def test_the_outcome_is_one_of_the_caller_record(error: ProxyError) -> None:
    assert error.outcome in get_args(Outcome)


def test_the_status_is_that_of_an_error(error: ProxyError) -> None:
    assert 400 <= error.status <= 599


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("kind", "status", "outcome", "run_started"),
    [
        (errors.InvalidRequest, 400, "rejected", "no"),
        (errors.MethodNotAllowed, 405, "rejected", "no"),
        (errors.RequestTimeout, 408, "rejected", "no"),
        (errors.HeadersTooLarge, 431, "rejected", "no"),
        (errors.InvalidPath, 400, "rejected", "no"),
        (errors.PathTooLong, 414, "rejected", "no"),
        (errors.InvalidBody, 400, "rejected", "no"),
        (errors.BodyTooLarge, 413, "rejected", "no"),
        (errors.UpgradeRefused, 501, "rejected", "no"),
        (errors.LoopDetected, 508, "rejected", "no"),
        (errors.Overloaded, 503, "overloaded", "no"),
        (errors.Unreachable, 502, "unreachable", "no"),
        (errors.Timeout, 504, "timeout", "unknown"),
        (errors.ConnectionLost, 502, "upstream_error", "unknown"),
        (errors.InvalidAnswer, 502, "upstream_error", "unknown"),
        (errors.InternalError, 500, "interrupted", "unknown"),
    ],
)
def test_what_happened_has_its_status_its_outcome_and_its_word_on_the_run(
    kind: type[ProxyError], status: int, outcome: Outcome, run_started: RunStarted
) -> None:
    error = made(kind)

    assert (error.status, error.outcome, body(error)["details"]["run_started"]) == (status, outcome, run_started)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 418, 429, 451, 499])
def test_a_wrapped_error_of_the_caller_started_no_run(status: int) -> None:
    error = UpstreamError(status)

    assert error.status == status
    assert error.outcome == "upstream_error"
    assert body(error)["details"]["run_started"] == "no"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_wrapped_error_of_the_service_may_have_started_a_run(status: int) -> None:
    error = UpstreamError(status)

    assert error.status == status
    assert error.outcome == "upstream_error"
    assert body(error)["details"]["run_started"] == "unknown"


# --- Proxy-Status

Item = tuple[str, dict[str, str | int]]

TOKEN = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
KEY = r"[a-z*][a-z0-9_.*-]*"
PARAMETER = re.compile(rf"; *({KEY})=(?:({TOKEN})|(-?[0-9]{{1,15}})(?![0-9.]))")


def parsed(text: str) -> Item:
    """An item of RFC 8941, section 3.3, that is a token, with parameters that are tokens or integers."""
    bare = re.match(TOKEN, text)
    assert bare, text
    at = bare.end()
    parameters: dict[str, str | int] = {}
    while at < len(text):
        parameter = PARAMETER.match(text, at)
        assert parameter, text[at:]
        key, token, integer = parameter.groups()
        assert key not in parameters
        parameters[key] = token if token is not None else int(integer)
        at = parameter.end()
    return bare[0], parameters


@pytest.mark.parametrize(
    "wrong", ["", "1a", "a b", "a;", "a ;b=c", "a; B=c", "a; b=", "a; b=1.5", "a; b=c; b=d", 'a; b="', "a; b=c,"]
)
def test_the_parser_of_structured_fields_used_here_is_strict(wrong: str) -> None:
    with pytest.raises(AssertionError):
        parsed(wrong)


def test_proxy_status_names_the_proxy_and_a_registered_error_or_the_status_that_came(error: ProxyError) -> None:
    proxy, parameters = parsed(error.proxy_status())

    assert proxy == "trigger-shim"
    if isinstance(error, UpstreamError):
        assert parameters == {"received-status": 502}
    else:
        assert set(parameters) == {"error"}
        assert parameters["error"] in PROXY_ERROR_TYPES


def test_proxy_status_names_the_error_type_that_was_found_out() -> None:
    error = errors.Unreachable("What happened.", proxy_error="dns_error")

    assert parsed(error.proxy_status()) == ("trigger-shim", {"error": "dns_error"})
    assert errors.Unreachable.proxy_error != "dns_error"
