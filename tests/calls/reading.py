"""Reads one call, for tests, and shows the variables in it."""

import subprocess

from proxy.calls.call import Call, NotRead, Reading
from proxy.calls.shell import script

URL = "https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger"


def only(reading: Reading) -> Call:
    """The only call of a text, with each variable as ``<source>``; one that cannot be translated raises its reason."""
    (call,) = reading.calls
    if call.problem:
        raise NotRead(call.problem)
    return marked(call)


def marked(call: Call) -> Call:
    """A call with each variable as ``<source>``."""

    def mark(text: str) -> str:
        return "".join(f"<{call.variables[char].source}>" if char in call.variables else char for char in text)

    return call._replace(
        url=mark(call.url),
        method=mark(call.method),
        headers=tuple((mark(name), mark(value)) for name, value in call.headers),
        body=mark(call.body),
        options=tuple(tuple(map(mark, words)) for words in call.options),
    )


def shell(text: str) -> Call:
    """The only call of a shell script."""
    return only(script.read(text))


def arguments(text: str, **environment: str) -> list[str]:
    """The words that a shell hands to the programs of a script, whatever these are."""
    functions = "".join(f"{name}() {{ printf '%s\\0' \"$@\"; }}\n" for name in ("curl", "http", "src"))
    command = ["sh", "-c", functions + text]
    ran = subprocess.run(command, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", **environment})
    return ran.stdout.decode().split("\0")[:-1]
