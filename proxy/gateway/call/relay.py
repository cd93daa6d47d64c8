"""Passes calls and their responses on, both bodies as they arrive."""

from starlette.types import Receive

from proxy import errors
from proxy.gateway import headers
from proxy.gateway.call.accounting import Accounting
from proxy.gateway.call.body import iter_body
from proxy.gateway.call.concurrency_limit import ConcurrencyLimit
from proxy.gateway.call.head import Head
from proxy.gateway.call.responder import Responder
from proxy.gateway.call.withdrawn_call import WithdrawnCall
from proxy.gateway.headers import Hop
from proxy.gateway.upstream.upstream import Stream, Upstream


class Relay:
    """Passes calls and their responses on, both bodies as they arrive.

    Args:
        upstream: the service.
        limit: maximum number of calls at a time.
    """

    def __init__(self, upstream: Upstream, limit: int) -> None:
        self._upstream = upstream
        self._limit = ConcurrencyLimit(limit)

    async def __call__(
        self,
        head: Head,
        receive: Receive,
        responder: Responder,
        accounting: Accounting,
        *,
        hop: Hop,
        target: bytes,
        call: WithdrawnCall | None = None,
    ) -> None:
        """Pass a call on, and its response back.

        Args:
            head: of the call.
            receive: its body.
            responder: sends the response.
            accounting: of the call; finished before the response is complete.
            hop: where the call came from.
            target: path and query at the service.
            call: the call if it is of a withdrawn endpoint.

        Raises:
            errors.ProxyError: there is no response, or it broke off.
            ClientDisconnected: the caller is gone.
        """
        fields = headers.forwarded(head.headers, hop)
        if call is not None:
            fields = [*(header for header in fields if header[0] != b"x-request-id"), call.request_id_header]
        body = iter_body(receive) if head.has_body else None
        with self._limit:
            accounting.forward_started()
            async with self._upstream.stream(head.method, target, fields, body) as answer:
                if not 200 <= answer.status <= 599:
                    raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
                accounting.response_started(answer.status)
                await responder.stream(
                    answer.status, _response_headers(answer, call), answer.body, accounting.response_ending
                )


def _response_headers(answer: Stream, call: WithdrawnCall | None) -> list[headers.Header]:
    fields = headers.response_headers(answer.headers)
    if call is not None:
        fields += call.announcement()
        if headers.first(fields, b"x-request-id") is None:
            fields.append(call.request_id_header)
    return fields
