"""What each call of a soak is. All of it follows from the seed and the call's number, so that a failure is repeatable.

What the upstream does with a call is the end of its request id, as in ``4711.cut``: both sides know it without a word.
"""

import random
from typing import Literal, NamedTuple, TypeVar

from proxy.errors import Outcome

T = TypeVar("T")

BODY_LIMIT = 8192
"""Bytes of a trigger's body that the proxy takes."""

Manner = Literal[
    "waits", "sends_slowly", "half_closes", "leaves", "calls_again", "bad_body", "large_body", "breaks_off"
]


Became = tuple[Outcome, int]
"""What a record says of a call: outcome and status."""


class Fate(NamedTuple):
    """What becomes of a call that the upstream has received.

    Attributes:
        share: how often it is met, in ten thousand calls.
        started: outcome and status of a call that starts a run, whose answer is read whole.
        relayed: of one whose answer is handed on as it comes; None where only triggers meet it.
        has_run: it is answered whole, with a run.
        is_cut: a relayed answer breaks off.
        is_unanswered: not a byte comes back, so that a GET over a used connection is sent once more.
    """

    share: int
    started: Became
    relayed: Became | None
    has_run: bool = False
    is_cut: bool = False
    is_unanswered: bool = False


def _run(share: int) -> Fate:
    return Fate(share, ("forwarded", 200), ("forwarded", 200), has_run=True)


def _error(share: int, status: int) -> Fate:
    return Fate(share, ("upstream_error", status), ("upstream_error", status))


_BROKEN: Became = "upstream_error", 502
_CUT: Became = "upstream_error", 200

FATES: dict[str, Fate] = {
    "run": _run(6800),
    "slow": _run(800),
    "chunked": _run(200),
    "to_the_end": _run(100),
    "interim": _run(200),
    "surplus": _run(100),
    "says_close": _run(100),
    "drops": _run(300),
    "nothing": _run(200),
    "error": _error(300, 409),
    "page": _error(200, 503),
    "no_run": Fate(100, _BROKEN, None),
    "garbage": Fate(100, _BROKEN, _BROKEN),
    "half_head": Fate(100, _BROKEN, _BROKEN),
    "cut": Fate(100, _BROKEN, _CUT, is_cut=True),
    "cut_chunk": Fate(100, _BROKEN, _CUT, is_cut=True),
    "closes": Fate(100, _BROKEN, _BROKEN, is_unanswered=True),
    "resets": Fate(100, _BROKEN, _BROKEN, is_unanswered=True),
    "silent": Fate(5, ("timeout", 504), ("timeout", 504)),
}


class Endpoint(NamedTuple):
    """A call that there is.

    Attributes:
        share: how often, in a hundred calls.
        path: with ``{repo}``, one of a few, and ``{number}``, one of many.
        is_recorded: it is of the withdrawn section.
    """

    share: int
    method: str
    path: str
    is_recorded: bool = True

    @property
    def is_trigger(self) -> bool:
        """Whether both bodies are translated."""
        return self.path.endswith("/trigger")

    @property
    def starts_run(self) -> bool:
        """Whether its answer is read whole, and kept for a retry."""
        return self.is_recorded and self.method == "POST"


ENDPOINTS: dict[str, Endpoint] = {
    "trigger": Endpoint(45, "POST", "/acme/shop-{repo}/ci_workflows/build/trigger"),
    "trigger_by_id": Endpoint(15, "POST", "/repos/id:{repo}/ci_workflows/build/trigger"),
    "run_workflows": Endpoint(8, "POST", "/acme/shop-{repo}/cicd/runs"),
    "list_runs": Endpoint(8, "GET", "/acme/shop-{repo}/cicd/runs?page_size={number}"),
    "get_run": Endpoint(8, "GET", "/acme/shop-{repo}/cicd/runs/{number}"),
    "current_start": Endpoint(8, "POST", "/repos/acme/shop-{repo}/cicd/runs", is_recorded=False),
    "current_run": Endpoint(8, "GET", "/repos/acme/shop-{repo}/cicd/runs/{number}", is_recorded=False),
}

_MANNERS: dict[Manner, int] = {
    "waits": 880,
    "sends_slowly": 20,
    "half_closes": 10,
    "leaves": 40,
    "calls_again": 20,
    "bad_body": 15,
    "large_body": 5,
    "breaks_off": 10,
}
REFUSED: dict[Manner, int] = {"bad_body": 400, "large_body": 413, "breaks_off": 400}
"""The callers whose calls are wrong, and the status that they get."""

_OF_STARTS: frozenset[Manner] = frozenset({"calls_again", "large_body"})
_REPOS, _TOKENS = 5, 10
_STRANGERS = 0.25
"""The share of calls with a token that was never seen before."""


class Call(NamedTuple):
    """One call.

    Attributes:
        id: its request id.
        endpoint: which of `ENDPOINTS`.
        target: path and query.
        fault: which of `FATES` it meets where the upstream receives it.
        pause: seconds, for those who send slowly or leave.
        keeps: the connection is used again.
        chunked: its body is.
        first: id of the lost try that this is the retry of.
    """

    id: str
    endpoint: str
    target: str
    body: bytes
    token: str
    fault: str
    manner: Manner
    pause: float
    keeps: bool
    chunked: bool
    first: str | None = None

    @property
    def kind(self) -> Endpoint:
        """What is known of its endpoint."""
        return ENDPOINTS[self.endpoint]

    @property
    def fate(self) -> Fate:
        """What becomes of it where the upstream receives it."""
        return FATES[self.fault]

    @property
    def became(self) -> Became:
        """What becomes of it where the upstream receives it."""
        became = self.fate.started if self.kind.starts_run else self.fate.relayed
        assert became is not None, "it is not planned"
        return became

    @property
    def leaves(self) -> bool:
        """Whether its caller does not wait for the answer."""
        return self.manner in {"leaves", "breaks_off", "calls_again"}


def plan(seed: int, number: int, *, silence: bool) -> Call:
    """A call.

    Args:
        seed: of the soak.
        number: of the call.
        silence: whether the upstream may leave it without an answer until the time is over.
    """
    chance = random.Random(f"{seed} {number}")
    endpoint = _one_of({name: kind.share for name, kind in ENDPOINTS.items()}, chance)
    kind = ENDPOINTS[endpoint]
    manner = _manner(chance, kind)
    fault = _fault(chance, kind, manner, silence=silence)
    return Call(
        id=f"{number}.{fault}",
        endpoint=endpoint,
        target=kind.path.format(repo=chance.randrange(_REPOS), number=number),
        body=_body(manner, number) if kind.method == "POST" else b"",
        token=f"token-{number if chance.random() < _STRANGERS else chance.randrange(_TOKENS) - _TOKENS}",
        fault=fault,
        manner=manner,
        pause=chance.choice((0, 0.002, 0.01)),
        keeps=chance.random() < 0.8,
        chunked=kind.method == "POST" and manner != "large_body" and chance.random() < 0.2,
    )


def retry_of(seed: int, lost: Call) -> Call:
    """The same call again, under another id; it may meet something else."""
    chance = random.Random(f"{seed} {lost.id}")
    fault = _fault(chance, lost.kind, "waits", silence=False)
    number = lost.id.partition(".")[0]
    return lost._replace(id=f"{number}r.{fault}", fault=fault, manner="waits", first=lost.id)


def _one_of(shares: dict[T, int], chance: random.Random) -> T:
    return chance.choices(list(shares), list(shares.values()))[0]


def _manner(chance: random.Random, kind: Endpoint) -> Manner:
    manner = _one_of(_MANNERS, chance)
    unfit = (
        (manner == "bad_body" and not kind.is_trigger)
        or (manner in _OF_STARTS and not kind.starts_run)
        or (manner == "breaks_off" and kind.method == "GET")
    )
    return "waits" if unfit else manner


def _fault(chance: random.Random, kind: Endpoint, manner: Manner, *, silence: bool) -> str:
    fault = _one_of({name: fate.share for name, fate in FATES.items()}, chance)
    fate = FATES[fault]
    unfit = (
        (fate.relayed is None and not kind.is_trigger)
        or (fault == "silent" and not silence)
        # Nobody reads on for who has left: whether it was cut is not known, and not said.
        or (fate.is_cut and manner == "leaves" and not kind.starts_run)
    )
    return "run" if unfit else fault


def _body(manner: Manner, number: int) -> bytes:
    match manner:
        case "bad_body":
            return b'{"revision": %d}' % number
        case "large_body":
            return b'{"revision": "%b"}' % (b"x" * BODY_LIMIT)
        case _:  # no two are the same, or one might be taken for the retry of another
            return b'{"revision": "tags:v%d", "input": {"values": [{"name": "env", "value": "%d"}]}}' % (number, number)
