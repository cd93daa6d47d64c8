"""A call as a program on a command line would make it, before its body is found."""

from dataclasses import dataclass, field

STDIN = "-"
"""The name of standard input, for a file."""


@dataclass
class Draft:
    """What the words of a command say.

    Attributes:
        program: as it is called, without a folder.
        method: None if the program chooses it.
        body: the body, or None if there is none or it is in `file`.
        file: the file that has the body; `STDIN` for standard input.
        options: as in `Call`.
        problem: why the call cannot be translated.
    """

    program: str
    method: str | None = None
    url: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str | None = None
    file: str | None = None
    options: list[tuple[str, ...]] = field(default_factory=list)
    problem: str | None = None

    def add_url(self, url: str) -> None:
        """Set the URL; there can be only one."""
        if self.url:
            self.refuse("it calls more than one URL: write a command for each")
        self.url = self.url or url

    def add_header(self, line: str) -> None:
        """Add a header from a line ``name: value``."""
        name, _, value = line.partition(":")
        self.headers.append((name.strip(), value.strip()))

    def add_body(self, text: str) -> None:
        """Add to the body; several are joined as in a form."""
        self.body = text if self.body is None else f"{self.body}&{text}"

    def refuse(self, problem: str) -> None:
        """Say why it cannot be translated; the first reason stays."""
        self.problem = self.problem or problem
