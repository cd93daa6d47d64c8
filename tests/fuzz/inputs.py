"""Makes up input for a parser: pieces of its grammar in any order, and valid inputs with some bytes replaced."""

from collections.abc import Sequence

from hypothesis import strategies as st

Edit = tuple[int, int, bytes]

_LONG = 300
"""How often one piece may be repeated."""


def inputs(pieces: Sequence[bytes], examples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes for a parser.

    Args:
        pieces: of its grammar.
        examples: valid inputs.
    """
    piece = st.sampled_from(pieces) | st.binary(max_size=8)
    repeated = st.builds(bytes.__mul__, piece, st.sampled_from([1, 1, 1, 2, _LONG]))
    edits = st.lists(st.tuples(st.integers(0, 500), st.sampled_from([0, 0, 1, 4, 40]), repeated), max_size=8)
    return st.lists(repeated, max_size=30).map(b"".join) | st.builds(edited, st.sampled_from(examples), edits)


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Replace bytes, each time at a place, so many of them, by others."""
    for at, length, new in edits:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + length :]
    return data
