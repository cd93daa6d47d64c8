"""Chooses the writer of a new call."""

from proxy.calls.call import Call
from proxy.calls.write import curl, httpie, javascript, python, src
from proxy.calls.write.written import Target, Written

_WRITERS = {
    Target.CURL: curl.write,
    Target.HTTPIE: httpie.write,
    Target.PYTHON: python.write,
    Target.JAVASCRIPT: javascript.write,
    Target.SRC: src.write,
}


def write(call: Call, target: Target) -> Written:
    """Write a call.

    Raises:
        NotRead: what is chosen cannot make the call.
    """
    return _WRITERS[target](call)
