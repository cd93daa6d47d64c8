"""Writes a call as an HTTPie command, for HTTPie 3 and later."""

from proxy.calls.call import Call, Language
from proxy.calls.write.shell import Words
from proxy.calls.write.written import Written, absolute, headers_of, left_out


def write(call: Call) -> Written:
    """Write a call with one argument on a line. Without ``--ignore-stdin``, a script would be read as the body."""
    words = Words(call)
    is_httpie = call.tool in {"http", "https"}
    program = words.quote(call.program) if is_httpie else "http"
    url, on_url = absolute(call, is_same=call.language in {Language.SHELL, Language.CMD})
    options = [words.quote(word) for option in call.options for word in option] if is_httpie else []
    parts = [" ".join([program, "--ignore-stdin", *options, call.method, words.quote(url)])]
    headers, notes = headers_of(call, is_same=False)
    notes += [] if is_httpie else left_out(call)
    parts += [words.quote(f"{name}: {value}" if value else f"{name};") for name, value in headers]
    if call.body_file is not None:
        parts.append(words.quote(f"@{call.body_file}"))
    elif call.body:
        parts.append(f"--raw {words.json(call.body)}")
    return Written(" \\\n  ".join(parts), on_url + notes + words.notes())
