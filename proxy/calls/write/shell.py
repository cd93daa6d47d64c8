"""Quotes words for a POSIX shell."""

import re

from proxy.calls.call import Call, Language
from proxy.calls.write.written import Names, pieces

_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SPECIAL = re.compile(r'([\\"`$])')


class Words:
    """Writes texts of a call as words of a shell.

    Args:
        call: the call.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._names = Names(call, Language.SHELL)

    def quote(self, text: str) -> str:
        """A word in which only variables are expanded."""
        parts = pieces(text, self._call)
        if any(is_variable for _, is_variable in parts):
            return f'"{"".join(self._inside(part, is_variable) for part, is_variable in parts)}"'
        return text if _SAFE.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"

    def json(self, body: str) -> str:
        """A body as a word; variables that are whole values lose the quotes that were put around them."""
        for char, variable in self._call.variables_in(body):
            if variable.is_list:
                body = body.replace(f'["{char}"]', char)
            if variable.is_value and self._call.language in {Language.SHELL, Language.CMD}:
                body = body.replace(f'"{char}"', char)
        return self.quote(body)

    def notes(self) -> list[str]:
        """What has to be in the environment."""
        return self._names.notes()

    def _inside(self, part: str, is_variable: bool) -> str:
        return self._names.expression(part) if is_variable else _SPECIAL.sub(r"\\\1", part)
