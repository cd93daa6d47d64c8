"""Writes a call as a ``curl`` command."""

from proxy.calls.call import Call, Language
from proxy.calls.write.shell import Words
from proxy.calls.write.written import Written, absolute, headers_of, left_out

_RETRY = "--retry: a second try can start a second run; retry only where no connection was made"


def write(call: Call, between: str = " \\\n  ") -> Written:
    """Write a call.

    Args:
        call: the call.
        between: what stands between two arguments; by default, each has a line of its own, as in a script.
    """
    words = Words(call)
    is_curl = call.tool == "curl" and call.language is Language.SHELL
    program = words.quote(call.program) if is_curl else "curl"
    url, on_url = absolute(call, is_same=call.language in {Language.SHELL, Language.CMD})
    options = [words.quote(word) for option in call.options for word in option] if is_curl else []
    start = [program, *options, "-X", words.quote(call.method), words.quote(url)]
    parts = [" ".join(start)]
    headers, notes = headers_of(call, is_same=False)
    parts += [f"-H {words.quote(f'{name}: {value}' if value else f'{name}:')}" for name, value in headers]
    if call.body_file is not None:
        parts.append(f"-d {words.quote(f'@{call.body_file}')}")
    elif call.body:
        parts.append(f"-d {words.json(call.body)}")
    return Written(between.join(parts), on_url + notes + _notes(call, is_curl=is_curl) + words.notes())


def _notes(call: Call, *, is_curl: bool) -> list[str]:
    if not is_curl:
        return left_out(call)
    kept = " ".join(option[0] for option in call.options if option[0] not in _SILENT)
    notes = [f"kept: {kept}"] if kept else []
    return notes + [_RETRY] * any(option[0] == "--retry" for option in call.options)


_SILENT = frozenset("-s --silent -S --show-error".split())
