"""Reads the calls in the shell commands of a YAML file, such as the definition of a pipeline."""

import re
from collections.abc import Iterator

import yaml

from proxy.calls.call import NotRead, Reading, placed, read_each
from proxy.calls.embedding import Embedding, Quoting, places
from proxy.calls.shell import script

_CALLS = re.compile(r"\b(?:curl|wget|https?)\s")


def read(text: str) -> Reading:
    """Read a file, or a piece of one.

    Raises:
        NotRead: it is not YAML, or a command in it is no shell command.
    """
    try:
        scalars = list(_scalars(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise NotRead(f"{line}{getattr(error, 'problem', None) or 'it is not valid'}") from None
    except RecursionError:
        raise NotRead("it is nested too deeply") from None
    return read_each(text, scalars, lambda scalar: _of_scalar(text, scalar))


def _scalars(text: str) -> Iterator[yaml.ScalarNode]:
    """The texts in which a call may stand."""
    pending = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    seen = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:  # an anchor can lead back to itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and _CALLS.search(node.value):
            yield node
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            pending += [part for pair in node.value for part in pair]


_QUOTINGS = {None: Quoting.YAML_PLAIN, ">": Quoting.YAML_FOLDED, "'": Quoting.YAML_SINGLE, '"': Quoting.YAML_DOUBLE}


def _of_scalar(text: str, node: yaml.ScalarNode) -> Reading:
    start, end = node.start_mark.index, node.end_mark.index
    if node.style == "|":  # its lines stand in the file as they are
        start = text.find("\n", start) + 1
        return script.read(text, start=start, end=end)
    quoting = _QUOTINGS[node.style]
    found = script.read(node.value)
    inside = (text.find("\n", start) + 1, end) if quoting is Quoting.YAML_FOLDED else (start, end)
    if quoting in {Quoting.YAML_SINGLE, Quoting.YAML_DOUBLE}:
        inside = start + 1, end - 1
    return placed(found, text, Embedding(quoting, start, end), places(node.value, text, *inside, quoting))
