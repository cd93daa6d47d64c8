"""Reads the words of a ``wget`` command."""

from collections.abc import Iterator

from proxy.calls.call import NotRead
from proxy.calls.shell.draft import Draft

_SHORT_WITH_VALUE = frozenset("oaieBtOTwQPUlARDIX")
_LONG_WITH_VALUE = frozenset(
    "--header --method --post-data --post-file --body-data --body-file --output-document --output-file --tries"
    " --timeout --connect-timeout --read-timeout --dns-timeout --user-agent --referer --user --password --http-user"
    " --http-password --ca-certificate --ca-directory --certificate --private-key --load-cookies --save-cookies"
    " --directory-prefix --wait --waitretry --retry-on-http-error --limit-rate --bind-address --execute --config"
    " --append-output --input-file --base --secure-protocol --ciphers --pinnedpubkey --compression --quota"
    " --proxy-user --proxy-password --prefer-family --default-page --progress --report-speed".split()
)


def read(words: list[str]) -> Draft:
    """Read the words after the program.

    Raises:
        NotRead: an option has no value.
    """
    draft = Draft("wget")
    for option, value in _options(words):
        match option:
            case "":
                draft.add_url(value)
            case "--method":
                draft.method = value
            case "--header":
                draft.add_header(value)
            case "--post-data" | "--body-data":
                draft.body = value
            case "--post-file" | "--body-file":
                draft.file = value
            case "--user" | "--password" | "--http-user" | "--http-password":
                draft.refuse(f"{option} sends a password; the service takes 'Authorization: Bearer TOKEN'")
            case "-i" | "--input-file":
                draft.refuse(f"{option} reads URLs from a file: write the URL itself")
            case _:
                draft.options.append((option, value) if value else (option,))
    has_body = draft.body is not None or draft.file is not None
    draft.method = draft.method or ("POST" if has_body else "GET")
    return draft


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; a flag has an empty one, and a URL has no option."""
    rest = iter(words)
    for word in rest:
        name, separator, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            yield "", word
        elif word.startswith("--"):
            if name in _LONG_WITH_VALUE and not separator:
                value = _next(rest, name)
            yield name, value
        else:
            at = next((at for at, char in enumerate(word) if at and char in _SHORT_WITH_VALUE), None)
            yield from ((f"-{flag}", "") for flag in word[1:at])
            if at is not None:
                yield f"-{word[at]}", word[at + 1 :] or _next(rest, f"-{word[at]}")


def _next(rest: Iterator[str], name: str) -> str:
    value = next(rest, None)
    if value is None:
        raise NotRead(f"{name} has no value")
    return value
