"""Splits a shell script into words and operators, and expands nothing."""

import re
from enum import Enum
from typing import NamedTuple

from proxy.calls.call import Language, NotRead, Variables


class Kind(Enum):
    """The kinds of tokens."""

    WORD = "word"
    OPERATOR = "operator"
    REDIRECTION = "redirection"


class Token(NamedTuple):
    """A word or an operator.

    Attributes:
        text: an operator as it stands there; a word without its quotes, with its variables.
        start, end: its place in the whole text.
        document: what ``<<`` and ``<<<`` feed into the command.
    """

    kind: Kind
    text: str
    start: int
    end: int
    document: str | None = None


class _Document(NamedTuple):
    token: int
    end: str
    strips_tabs: bool
    expands: bool


_OPERATOR = re.compile(r"\|\||&&|\|&|;;|[|&;()\n]")
_REDIRECTION = re.compile(r"(?:\d+(?=[<>])|&(?=>))?(?:<<<|<<-?|>>|>\||[<>]&|[<>])")
_CONTINUED = re.compile(r"\\\r?\n")
_ALMOST_CONTINUED = re.compile(r"\\[ \t]+\r?(?:\n|\Z)")
_CONTINUED_ELSEWHERE = re.compile(r"[\^`][ \t]*\r?\n")
_NAMED = re.compile(r"\$\$?([A-Za-z_]\w*)")  # a Makefile doubles the dollar
_UNNAMED = re.compile(r"\$[0-9@*#?$!_-]")
_PERCENT = re.compile(r"%~?([A-Za-z_]\w*)%")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DOCUMENT = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1[^\n]*\n(?:.*\n)*?[ \t]*\2[ \t]*(?=\n|\Z)")
_CLOSING = {"(": ")", "{": "}"}


class Lexer:
    """Splits a text, or a part of it.

    Args:
        text: the whole text.
        variables: gets a variable for each expansion.
        language: `Language.SHELL` or `Language.CMD`.

    Attributes:
        substitutions: for the character of each ``$(…)`` of the last `split`, where its commands stand.
        guesses: what was read although it does not stand there like that, with its place.
    """

    def __init__(self, text: str, variables: Variables, language: Language = Language.SHELL) -> None:
        self._text = text
        self._variables = variables
        self._is_cmd = language is Language.CMD
        self._at = self._end = 0
        self._documents: list[_Document] = []
        self._tokens: list[Token] = []
        self.substitutions: dict[str, tuple[int, int]] = {}
        self.guesses: list[tuple[int, str]] = []

    def split(self, start: int, end: int) -> list[Token]:
        """The tokens of a part of the text.

        Raises:
            NotRead: a quote is never closed.
        """
        self._at, self._end, self._tokens, self._documents = start, end, [], []
        self.substitutions = {}
        while self._at < self._end:
            self._token()
        self._read_documents()
        return self._tokens

    def _token(self) -> None:
        text, start = self._text, self._at
        if text[start] in " \t\r":
            self._at += 1
        elif (text[start] == "#" or text.startswith("```", start)) and not self._is_cmd:
            end = text.find("\n", start, self._end)  # of a comment, or of a line that fences code in Markdown
            self._at = self._end if end < 0 else end
        elif self._skip_continuation():
            pass
        elif found := _REDIRECTION.match(text, start, self._end):
            self._redirection(found[0])
        elif (found := _OPERATOR.match(text, start, self._end)) and not (self._is_cmd and found[0] in "();"):
            self._at = found.end()
            self._tokens.append(Token(Kind.OPERATOR, found[0], start, self._at))
            if found[0] == "\n":
                self._read_documents()
        else:
            self._tokens.append(self._word())

    def _redirection(self, operator: str) -> None:
        start = self._at
        self._at += len(operator)
        while self._at < self._end and self._text[self._at] in " \t":
            self._at += 1
        word = self._word()
        token = Token(Kind.REDIRECTION, operator.lstrip("01&"), start, self._at, word.text)
        if operator.lstrip("01") in {"<<", "<<-"}:
            raw = self._text[word.start : word.end]
            expands = not set(raw) & {"'", '"', "\\"}
            self._documents.append(_Document(len(self._tokens), word.text, operator.endswith("-"), expands))
        self._tokens.append(token)

    def _read_documents(self) -> None:
        for document in self._documents:
            lines = []
            while self._at < self._end:
                end = self._text.find("\n", self._at, self._end)
                line_end = self._end if end < 0 else end
                line = self._text[self._at : line_end].removesuffix("\r")
                start, self._at = self._at, min(line_end + 1, self._end)
                if (line.lstrip("\t") if document.strips_tabs else line).strip() == document.end:
                    break
                lines.append(self._expanded(start, line_end) if document.expands else line)
            content = "\n".join(line.lstrip("\t") if document.strips_tabs else line for line in lines)
            token = self._tokens[document.token]
            self._tokens[document.token] = token._replace(text="<<", document=content)
        self._documents = []

    def _expanded(self, start: int, end: int) -> str:
        """A line of a here-document."""
        after, self._at = self._at, start
        out = ""
        while self._at < end:
            escaped = self._text[self._at : self._at + 2] in {"\\$", "\\`", "\\\\"}
            expansion = None if escaped else self._expansion()
            self._at += 2 if escaped else 0 if expansion else 1
            out += expansion or self._text[self._at - 1]
        self._at = after
        return out

    def _skip_continuation(self) -> bool:
        text, at = self._text, self._at
        if not self._is_cmd and (found := _CONTINUED.match(text, at, self._end)):
            self._at = found.end()
            return True
        if not self._is_cmd and (found := _ALMOST_CONTINUED.match(text, at, self._end)):
            self.guesses.append((at, "a \\ at the end of a line is followed by a space, and was read without it"))
            self._at = found.end()
            return True
        if text[at] in "^`" and (found := _CONTINUED_ELSEWHERE.match(text, at, self._end)):
            self._at = found.end()
            return True
        return False

    def _word(self) -> Token:
        start, out = self._at, ""
        while self._at < self._end:
            char = self._text[self._at]
            if char in " \t\r\n|&<>" or (char in ";()" and not self._is_cmd):
                break
            if not self._skip_continuation():
                out += self._cmd_piece() if self._is_cmd else self._piece()
        return Token(Kind.WORD, out, start, self._at)

    def _piece(self) -> str:
        text, at = self._text, self._at
        if text.startswith("$'", at):
            raise NotRead("$'…' quoting is not supported: use '…'")
        if text[at] == "'":
            return self._single_quoted()
        if text.startswith(('"', '$"'), at):  # bash looks the second one up in a catalogue of translations
            self._at += 1 + (text[at] == "$")
            return self._double_quoted()
        if text[at] == "\\":
            self._at += 2
            return text[at + 1 : at + 2]
        if expansion := self._expansion():
            return expansion
        self._at += 1
        return text[at]

    def _single_quoted(self) -> str:
        start = self._at + 1
        end = self._text.find("'", start, self._end)
        if end < 0:
            raise NotRead("a ' is never closed")
        self._at = end + 1
        return self._text[start:end]

    def _double_quoted(self) -> str:
        out, text = "", self._text
        while self._at < self._end and text[self._at] != '"':
            two = text[self._at : self._at + 2]
            if two in {"\\$", "\\`", '\\"', "\\\\", "\\\n"}:
                out += "" if two == "\\\n" else two[1]
                self._at += 2
            elif expansion := self._expansion():
                out += expansion
            else:
                out += text[self._at]
                self._at += 1
        if self._at >= self._end:
            raise NotRead('a " is never closed')
        self._at += 1
        return out

    def _expansion(self) -> str | None:
        """Read a variable or a substitution, if there is one here."""
        text, start = self._text, self._at
        if text[start] == "`":
            end = text.find("`", start + 1, self._end)
            if end < 0:
                raise NotRead("a ` is never closed")
            self._at = end + 1
            return self._variables.add(text[start : self._at])
        if text[start] != "$":
            return None
        opening = text[start + 1 : start + 2]
        name = None
        if opening and opening in _CLOSING:
            self._at = self._closing(start + 2, _CLOSING[opening])
            found = _NAME.match(text, start + 2, self._at) if opening == "{" else None
            name = found[0] if found else None
        elif found := _NAMED.match(text, start, self._end):
            self._at, name = found.end(), found[1]
        elif found := _UNNAMED.match(text, start, self._end):
            self._at = found.end()
        else:
            return None
        char = self._variables.add(text[start : self._at], name)
        if opening == "(" and not text.startswith("$((", start):
            self.substitutions[char] = (start + 2, self._at - 1)
        return char

    def _closing(self, at: int, closing: str) -> int:
        """Where a bracket is closed: the place after it."""
        stack = [closing]
        while at < self._end:
            char = self._text[at]
            if char == "\\":
                at += 2
                continue
            if char == "<" and stack[-1] == ")" and (found := _DOCUMENT.match(self._text, at, self._end)):
                at = found.end()
                continue
            if char == "'":
                at = self._text.find("'", at + 1, self._end)
                if at < 0:
                    break
            elif char == '"' and stack[-1] == '"':
                stack.pop()
            elif char == '"' or char in _CLOSING:
                stack.append(_CLOSING.get(char, '"'))
            elif char == stack[-1]:
                stack.pop()
                if not stack:
                    return at + 1
            at += 1
        raise NotRead(f"a ${'(' if closing == ')' else '{'} is never closed")

    def _cmd_piece(self) -> str:
        careted = self._text[self._at] == "^"
        self._at += careted
        if self._at >= self._end:
            return ""
        char = self._text[self._at]
        if char == '"':
            self._at += 1
            return self._cmd_quoted(careted=careted)
        if char == "'":  # cmd.exe knows no such quotes, but commands are pasted from elsewhere
            self.guesses.append((self._at, "cmd.exe does not know '…', which was read as quotes"))
            return self._single_quoted()
        if expansion := self._percent():
            return expansion
        self._at += 1
        return char

    def _cmd_quoted(self, *, careted: bool) -> str:
        """What stands between quotes; if these have carets, so have characters between them."""
        out, text = "", self._text
        while self._at < self._end:
            self._at += careted and text[self._at] == "^"
            char = text[self._at : self._at + 1]
            if char == "\\":
                escaped = self._at + 1 + (careted and text[self._at + 1 : self._at + 2] == "^")
                if text[escaped : escaped + 1] == '"':
                    out, self._at = f'{out}"', escaped + 1
                    continue
            if char == '"':
                self._at += 1
                return out
            if expansion := self._percent():
                out += expansion
                continue
            out += char
            self._at += 1
        raise NotRead('a " is never closed')

    def _percent(self) -> str | None:
        found = _PERCENT.match(self._text, self._at, self._end)
        if found is None:
            return None
        self._at = found.end()
        return self._variables.add(found[0], found[1])
