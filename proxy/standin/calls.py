"""A request to the stand-in, and what is read of it."""

import re
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.standin.repositories import CUBE, TASK, Repository, Run

T = TypeVar("T")


class Received(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    query: str

    def header(self, name: str) -> str:
        """A header by its name in lower case; empty where it is absent."""
        return dict(self.headers).get(name.encode(), b"").decode("latin-1")


class Refused(Exception):
    """An answer in the error schema, of which no field is always there, and whose `details` have any shape."""

    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        body = {"error_code": self.code, "message": self.message, "request_id": "stand-in"}
        return body if self.details is None else {**body, "details": self.details}


class Call(NamedTuple):
    """A request to one endpoint."""

    got: Received
    repository: Repository
    segments: dict[str, str]
    query: dict[str, str]
    user: str

    def body(self, kind: type[T]) -> T:
        """What was sent.

        Raises:
            Refused: it is not JSON of that kind.
        """
        if self.got.header("content-type") != "application/json":
            raise Refused(415, "InvalidArgument", "Send application/json.")
        try:
            return msgspec.json.decode(self.got.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise wrong(str(error)) from None

    def run(self) -> Run:
        """The run that the path names.

        Raises:
            Refused: there is none.
        """
        for run in self.repository.runs:
            if run.slug == self.segments["run"]:
                return run
        raise missing(f"run {self.segments['run']}")

    def cube(self) -> Run:
        """The run with the cube that the path names.

        Raises:
            Refused: there is none.
        """
        run = self.run()
        if self.segments["workflow"] not in run.names or (self.segments["task"], self.segments["cube"]) != (TASK, CUBE):
            raise missing("such cube in the run")
        return run

    def number(self, name: str, default: int) -> int:
        """A number of the query, 1 or more.

        Raises:
            Refused: it is none.
        """
        text = self.query.get(name, "") or str(default)
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
            raise wrong(f"{name} is a number of 1 or more.")
        return int(text)

    def silent(self) -> None:
        """Check that `silent` is a boolean; it changes nothing.

        Raises:
            Refused: it is none.
        """
        if self.query.get("silent", "false") not in {"true", "false"}:
            raise wrong("silent is true or false.")


def wrong(message: str) -> Refused:
    """That something in the request is wrong."""
    return Refused(400, "InvalidArgument", message, {"violations": [{"description": message}]})


def missing(what: str) -> Refused:
    """That something does not exist."""
    return Refused(404, "NotFound", f"There is no {what}.")
