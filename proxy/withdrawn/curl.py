"""Reads and writes ``curl`` command lines in shell syntax."""

import re
from collections.abc import Iterator
from typing import NamedTuple

LITERAL_DOLLAR = "\ue000"
"""Replaces a ``$`` that the shell would not expand, in words read from a command line."""

_WITH_VALUE = {
    "-X": "method", "--request": "method",
    "-H": "header", "--header": "header",
    "-d": "data", "--data": "data", "--data-ascii": "data", "--data-binary": "data",
    "--data-raw": "raw", "--json": "json", "--url": "url", "-u": "user", "--user": "user", "--oauth2-bearer": "bearer",
}  # fmt: skip
_VALUE_DROPPED = frozenset(
    "-o --output -w --write-out -m --max-time --connect-timeout --retry --retry-delay --retry-max-time -A --user-agent"
    " -e --referer -b --cookie -c --cookie-jar --cacert -E --cert --key -x --proxy --resolve -K --config -D"
    " --dump-header --limit-rate --noproxy --interface --max-redirs --max-filesize --proto --tls-max --ciphers --capath"
    " --pass --pinnedpubkey --connect-to --unix-socket --stderr --trace --trace-ascii -U --proxy-user -r --range"
    " -T --upload-file -F --form --data-urlencode --http-proxy".split()
)
_UNUSABLE = frozenset("-T --upload-file -F --form --data-urlencode -K --config".split())
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


class CurlError(ValueError):
    """A command line that cannot be read."""


class Curl(NamedTuple):
    """The request of a ``curl`` command line; a ``$`` in it is one that the shell would expand."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def parse(text: str) -> Curl:
    """Read a command line, with its continuation lines and a leading shell prompt.

    Raises:
        CurlError: it is not a ``curl`` command line, or its body is elsewhere, in a file for example.
    """
    words = list(_words(text.strip().removeprefix("$ ")))
    if not words or words[0] != "curl":
        raise CurlError("not a curl command line")
    method, url, data = None, None, []
    headers: list[tuple[str, str]] = []
    for option, value in _options(words[1:]):
        match option:
            case "method":
                method = value
            case "url":
                url = url or value
            case "header":
                name, _, content = value.partition(":")
                headers.append((name.strip(), content.strip()))
            case "bearer":
                headers.append(("Authorization", f"Bearer {value}"))
            case "user":
                raise CurlError("--user sends a password; the service takes 'Authorization: Bearer TOKEN'")
            case "data" | "json" if value.startswith("@"):
                raise CurlError(f"the body is in the file {value[1:]}: pass that file instead of the command line")
            case _:
                data.append(value)
    if not url:
        raise CurlError("the command line has no URL")
    return Curl(method or ("POST" if data else "GET"), url, tuple(headers), "&".join(data))


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        name, value = _split(word)
        if name in _UNUSABLE:
            raise CurlError(f"{name} is not supported: write the body itself with --data")
        if name not in _WITH_VALUE and name not in _VALUE_DROPPED:
            if not word.startswith("-"):
                yield "url", word
            continue
        if value is None:
            value = next(rest, None)
        if value is None:
            raise CurlError(f"{name} has no value")
        if name in _WITH_VALUE:
            yield _WITH_VALUE[name], value


def _split(word: str) -> tuple[str, str | None]:
    """Split words such as ``-sXPOST`` and ``-d{}``, whose value follows the option directly."""
    if word.startswith("--") or not word.startswith("-"):
        return word, None
    for index in range(1, len(word)):
        short = "-" + word[index]
        if short in _WITH_VALUE or short in _VALUE_DROPPED:
            return short, word[index + 1 :] or None
    return word, None


def _words(text: str) -> Iterator[str]:
    """Split like a POSIX shell, up to the end of the command, without expansion."""
    word, started, index = "", False, 0
    while index < len(text):
        char = text[index]
        if char in "|;&<>" or (char == "#" and not started) or (char == "\n"):
            break
        if char in " \t\r":
            if started:
                yield word
            word, started = "", False
            index += 1
            continue
        if text.startswith(("\\\n", "\\\r\n"), index):
            index = text.index("\n", index) + 1
            continue
        started = True
        piece, index = _piece(text, index)
        word += piece
    if started:
        yield word


def _piece(text: str, index: int) -> tuple[str, int]:
    char = text[index]
    if text.startswith("$'", index):
        raise CurlError("$'…' quoting is not supported: use '…'")
    if char == "'":
        end = text.find("'", index + 1)
        if end < 0:
            raise CurlError("a ' is never closed")
        return text[index + 1 : end].replace("$", LITERAL_DOLLAR), end + 1
    if char == '"':
        return _double_quoted(text, index + 1)
    if char == "`":
        raise CurlError("`…` is not supported: use $(…)")
    if char == "\\":
        return text[index + 1 : index + 2].replace("$", LITERAL_DOLLAR), index + 2
    return char, index + 1


def _double_quoted(text: str, index: int) -> tuple[str, int]:
    out = ""
    while index < len(text) and text[index] != '"':
        if text[index] == "\\" and text[index + 1 : index + 2] in {"$", "`", '"', "\\", "\n"}:
            escaped = text[index + 1]
            out += "" if escaped == "\n" else escaped.replace("$", LITERAL_DOLLAR)
            index += 2
        elif text[index] == "`":
            raise CurlError("`…` is not supported: use $(…)")
        else:
            out += text[index]
            index += 1
    if index >= len(text):
        raise CurlError('a " is never closed')
    return out, index + 1


def quote(word: str) -> str:
    """Quote a word for a POSIX shell, which must expand only a ``$`` that is not literal."""
    if "$" in word:
        escaped = re.sub(r'([\\"`])', r"\\\1", word).replace(LITERAL_DOLLAR, r"\$")
        return f'"{escaped}"'
    word = word.replace(LITERAL_DOLLAR, "$")
    return word if _SAFE.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def write(call: Curl) -> str:
    """Write a call as a command line with one argument per line, ready to paste into a script."""
    parts = [f"curl -X {quote(call.method)} {quote(call.url)}"]
    parts += [f"-H {quote(f'{name}: {value}')}" for name, value in call.headers]
    if call.body:
        parts.append(f"-d {quote(call.body)}")
    return " \\\n  ".join(parts)
