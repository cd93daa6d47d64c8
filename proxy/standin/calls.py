"""Reads requests to the stand-in."""

import re
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.standin.repositories import CUBE, TASK, Repository, Run

T = TypeVar("T")


class Received(NamedTuple):
    """A request as it was received."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    query: str

    def header(self, name: str) -> str:
        """The value of a header, by its name in lower case; empty if it is missing."""
        return dict(self.headers).get(name.encode(), b"").decode("latin-1")


class Refused(Exception):
    """An error response in the error schema. The service may leave any field out; `details` has any shape."""

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
        """Decode the body.

        Raises:
            Refused: it is not JSON of this type.
        """
        if self.got.header("content-type") != "application/json":
            raise Refused(415, "InvalidArgument", "Send application/json.")
        try:
            return msgspec.json.decode(self.got.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise wrong(str(error)) from None

    def run(self) -> Run:
        """The run in the path.

        Raises:
            Refused: it does not exist.
        """
        for run in self.repository.runs:
            if run.slug == self.segments["run"]:
                return run
        raise missing(f"run {self.segments['run']}")

    def cube(self) -> Run:
        """The run with the cube in the path.

        Raises:
            Refused: one of them does not exist.
        """
        run = self.run()
        if self.segments["workflow"] not in run.names or (self.segments["task"], self.segments["cube"]) != (TASK, CUBE):
            raise missing("such cube in the run")
        return run

    def number(self, name: str, default: int) -> int:
        """A number in the query, at least 1.

        Raises:
            Refused: it is not one.
        """
        text = self.query.get(name, "") or str(default)
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
            raise wrong(f"{name} must be a number, at least 1.")
        return int(text)

    def check_silent(self) -> None:
        """Check that `silent` is a boolean; it has no effect.

        Raises:
            Refused: it is not one.
        """
        if self.query.get("silent", "false") not in {"true", "false"}:
            raise wrong("silent must be true or false.")


def wrong(message: str) -> Refused:
    """The error for a wrong request."""
    return Refused(400, "InvalidArgument", message, {"violations": [{"description": message}]})


def missing(what: str) -> Refused:
    """The error for something that does not exist."""
    return Refused(404, "NotFound", f"There is no {what}.")
