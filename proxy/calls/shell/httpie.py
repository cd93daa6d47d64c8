"""Reads the words of an HTTPie command: ``http`` and ``https``."""

import json
import re
from typing import Any

from proxy.calls.call import NotRead, Variables
from proxy.calls.shell.draft import Draft

_METHOD = re.compile(r"[A-Z]{3,7}|get|post|put|patch|delete|head|options")
_ITEM = re.compile(r"((?:\\.|[^\\:=@])*?)(:=@|:=|==|=@|=|:|@|;\Z)(.*)", re.DOTALL)
_WITH_VALUE = frozenset(
    "-a --auth -A --auth-type --raw -o --output -p --print --pretty -s --style --timeout --session --session-read-only"
    " --proxy --verify --ssl --ciphers --cert --cert-key --max-redirects --default-scheme --boundary --format-options"
    " --response-charset --response-mime".split()
)
_REFUSED = frozenset("-f --form --multipart -x --compress -m".split())


def read(words: list[str], program: str, variables: Variables) -> Draft:
    """Read the words after the program.

    Args:
        words: the words.
        program: ``http`` or ``https``, which is also the scheme of a URL that has none.
        variables: of the text.

    Raises:
        NotRead: an option has no value, or an item is not valid.
    """
    draft = Draft(program)
    options: dict[str, str] = {}
    items: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            items.append(word)
            continue
        name, separator, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in _WITH_VALUE and not separator:
            value = next(rest, "")
        options[name] = value
        draft.options.append((name, value) if name in _WITH_VALUE else (word,))
    if items and _METHOD.fullmatch(items[0]):
        draft.method = items.pop(0).upper()
    if items:
        draft.url = _url(items.pop(0), options.get("--default-scheme", program))
    _read_options(draft, options)
    _read_items(draft, items, variables)
    return draft


def _url(url: str, scheme: str) -> str:
    if url.startswith(":"):
        port, slash, path = url[1:].partition("/")
        url = f"localhost{f':{port}' if port else ''}{slash}{path}"
    return url if "://" in url or not url[0].isascii() else f"{scheme}://{url}"


def _read_options(draft: Draft, options: dict[str, str]) -> None:
    auth = options.get("-a", options.get("--auth"))
    if auth is not None and options.get("-A", options.get("--auth-type")) == "bearer":
        draft.headers.append(("Authorization", f"Bearer {auth}"))
    elif auth is not None:
        draft.refuse("--auth sends a password; the service takes 'Authorization: Bearer TOKEN'")
    draft.options = [words for words in draft.options if words[0] not in _CARRIED]
    if (raw := options.get("--raw")) is not None:
        draft.body = raw
    for name in sorted(_REFUSED & options.keys()):
        draft.refuse(f"{name} sends no JSON: write the body itself with --raw")


_CARRIED = frozenset("-a --auth -A --auth-type --raw -j --json --ignore-stdin --default-scheme".split())


def _read_items(draft: Draft, items: list[str], variables: Variables) -> None:
    fields: dict[str, Any] = {}
    for item in items:
        found = _ITEM.fullmatch(item)
        if found is None:
            raise NotRead("an item is neither a header nor a field of the body")
        name, operator, value = re.sub(r"\\(.)", r"\1", found[1]), found[2], found[3]
        if operator in {"=", ":="}:
            fields[name] = value if operator == "=" else _json(name, value, variables)
            if "[" in name:
                draft.refuse(f"{name} is a nested field: write the body itself with --raw")
        else:
            _read_item(draft, name, operator, value)
    if fields:
        draft.body = json.dumps(fields, ensure_ascii=False)


def _read_item(draft: Draft, name: str, operator: str, value: str) -> None:
    if operator in {":", ";"}:
        draft.headers.append((name, value.strip()))
    elif operator == "==":
        draft.refuse(f"{name}== adds to the query, which the service ignores")
    elif name:
        draft.refuse(f"{name}{operator}{value} reads a file: write its content")
    else:
        draft.file = value


def _json(name: str, value: str, variables: Variables) -> Any:
    try:
        return json.loads(variables.as_values(value))
    except (ValueError, RecursionError):
        raise NotRead(f"the value of {name} is not JSON") from None
