"""Reads the successor's responses: a run (API.md, section 2), or an error (section 3)."""

from typing import Any, NamedTuple

import msgspec


class Run(msgspec.Struct, frozen=True):
    """The fields of a run that the proxy reads."""

    id: str | None = None
    slug: str | None = None
    status: str | None = None
    workflows: list[msgspec.Raw] | None = None
    error_messages: list[msgspec.Raw] | None = None
    user: Any = None

    @property
    def name(self) -> str | None:
        """Its slug, or its ID if it has no slug; None if it has neither, and so is not a run."""
        return self.slug or self.id or None

    @property
    def user_name(self) -> str | None:
        """The owner of the token that started it."""
        user = self.user.get("slug") or self.user.get("id") if isinstance(self.user, dict) else None
        return user if isinstance(user, str) else None


class Explanation(NamedTuple):
    """The texts of an error; each is None if it is missing or not a string."""

    code: str | None = None
    message: str | None = None


class _Error(msgspec.Struct, frozen=True):
    # Other types are allowed, and ignored.
    error_code: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_run = msgspec.json.Decoder(Run)
_error = msgspec.json.Decoder(_Error)
_string = msgspec.json.Decoder(str)


def run_in(body: bytes) -> Run | None:
    """The run in the body of a response; None if it is something else."""
    try:
        body.decode()
        return _run.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def explanation_in(body: bytes) -> Explanation:
    """The texts in the body of an error response; both are None if it is not a JSON object."""
    try:
        body.decode()
        error = _error.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Explanation()
    return Explanation(_text(error.error_code), _text(error.message))


def _text(value: msgspec.Raw) -> str | None:
    try:
        return _string.decode(value)
    except msgspec.DecodeError:
        return None
