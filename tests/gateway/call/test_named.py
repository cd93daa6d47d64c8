from proxy.callers.identity import Caller
from proxy.gateway.call.named import Named


def caller(name: str) -> Caller:
    return Caller(name, "token", None, None, "10.0.0.1", "curl/8", None)


def test_each_caller_is_new_once_and_only_so_many_are() -> None:
    named = Named(2)

    assert [named.is_new(caller(name)) for name in "abaabcb"] == [True, True, False, False, False, False, False]
