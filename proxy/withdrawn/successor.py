"""What the successor's answers say: a run (API.md, section 2), or an error (section 3)."""

from typing import Any, NamedTuple

import msgspec


class Run(msgspec.Struct, frozen=True):
    """A run, as far as anybody here reads it."""

    id: str | None = None
    slug: str | None = None
    status: str | None = None
    workflows: list[msgspec.Raw] | None = None
    error_messages: list[msgspec.Raw] | None = None
    user: Any = None

    @property
    def name(self) -> str | None:
        """Its slug, or its ID where it has none; None where it has neither, and is no run."""
        return self.slug or self.id or None

    @property
    def user_name(self) -> str | None:
        """Whose token started it."""
        user = self.user.get("slug") or self.user.get("id") if isinstance(self.user, dict) else None
        return user if isinstance(user, str) else None


class Explanation(NamedTuple):
    """What an error says, each part None where it is absent or no string."""

    code: str | None = None
    message: str | None = None


class _Error(msgspec.Struct, frozen=True):
    # Of whatever type: only a string explains anything.
    error_code: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_run = msgspec.json.Decoder(Run)
_error = msgspec.json.Decoder(_Error)
_string = msgspec.json.Decoder(str)


def run_in(body: bytes) -> Run | None:
    """The run in the body of an answer; None where that is something else."""
    try:
        body.decode()
        return _run.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def explanation_in(body: bytes) -> Explanation:
    """What the body of an error answer says; nothing where it is no JSON object."""
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
