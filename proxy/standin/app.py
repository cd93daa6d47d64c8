"""The stand-in as an application."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from proxy.standin.calls import Call, Received, Refused, missing
from proxy.standin.endpoints import DOWNLOAD, ENDPOINTS
from proxy.standin.repositories import REPOSITORIES, Repository, Run, artifact
from proxy.withdrawn import endpoints


class StandIn:
    """The ASGI application.

    Args:
        users: whose a token is; all others are alice's.

    Attributes:
        received: every request, oldest first.
        answers: status and body of the answer to each.
        repositories: those that exist, or did.
    """

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = dict(users or {})
        self.received: list[Received] = []
        self.answers: list[str] = []
        self.repositories = [Repository(slug, id_) for slug, id_ in REPOSITORIES.items()]

    @property
    def runs(self) -> list[Run]:
        """Every run that was started."""
        return [run for repository in self.repositories for run in repository.runs]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the lifespan."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        request = Request(scope, receive)
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        got = Received(request.method, path, scope["headers"], await request.body(), query)
        self.received.append(got)
        try:
            answer = self._answer(got)
        except Refused as error:
            answer = JSONResponse(error.body(), error.status)
        self.answers.append(f"{answer.status_code} {bytes(answer.body).decode(errors='replace')}")
        await answer(scope, receive, send)

    def _answer(self, got: Received) -> Response:
        if endpoints.match(got.method, got.path) is not None:
            raise Refused(410, "EndpointWithdrawn", "This endpoint is withdrawn.")
        if got.method == "GET" and (download := DOWNLOAD.fullmatch(got.path)):
            return Response(artifact(download["run"]), media_type="application/gzip")
        if not got.header("authorization").startswith("Bearer "):
            raise Refused(401, "Unauthenticated", "Send 'Authorization: Bearer TOKEN'.")
        for method, pattern, endpoint in ENDPOINTS:
            if method == got.method and (found := pattern.fullmatch(got.path)):
                segments = {name: unquote(segment) for name, segment in found.groupdict().items()}
                repository = self._repository(segments.pop("repository"))
                query = dict(parse_qsl(got.query, keep_blank_values=True))
                user = self.users.get(got.header("authorization").removeprefix("Bearer "), "alice")
                return endpoint(Call(got, repository, segments, query, user))
        raise missing("such endpoint")

    def _repository(self, name: str) -> Repository:
        for repository in self.repositories:
            if name in {repository.slug, f"id:{repository.id}"} and not repository.deleted:
                return repository
        raise missing(f"repository {name}")
