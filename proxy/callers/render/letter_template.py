"""The wording of letters: a Jinja template that writes Markdown, ours or that of a company.

Whatever it shows that is not marked as Markdown becomes code, so that nothing of a caller is markup.
"""

import traceback
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from proxy.callers.render.letters import Letter
from proxy.callers.render.markdown import Markdown, link, words
from proxy.output.formatting import code, date, day, instant, pluralize

_TEMPLATE = Path(__file__).with_name("letter.md.jinja")
_COMPILED = "<template>"
"""What Jinja calls the file of a template that comes from a string."""


class WrongTemplate(Exception):
    """The template cannot be used. The message names the file, the line and the reason."""


class Draft(NamedTuple):
    """A letter in words.

    Attributes:
        text: what follows the subject, as Markdown.
    """

    subject: str
    text: str

    @property
    def markdown(self) -> str:
        """The whole letter, with the subject as its heading."""
        return f"# {self.subject}\n\n{self.text}"


class Wording:
    """Puts letters into words.

    Args:
        path: of the template; None for ours.

    Raises:
        WrongTemplate: it cannot be read.
    """

    def __init__(self, path: str | None = None) -> None:
        file = Path(path) if path is not None else _TEMPLATE
        self._name = str(file)
        environment = ImmutableSandboxedEnvironment(
            finalize=_shown, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"link": link, "pluralize": _pluralize, "time": _time, "words": words}
        try:
            self._template = environment.from_string(file.read_text(encoding="utf-8"))
        except jinja2.TemplateSyntaxError as error:
            raise WrongTemplate(f"{self._name}, line {error.lineno}: {error.message}") from None
        except (OSError, ValueError) as error:
            raise WrongTemplate(f"{self._name}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None

    def write(self, letter: Letter) -> Draft:
        """Put a letter into words.

        Raises:
            WrongTemplate: the template fails, or writes no subject.
        """
        try:
            text = self._template.render(letter._asdict())
        except Exception as error:  # a template can do anything wrong that an expression can
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _COMPILED]
            raise WrongTemplate(f"{self._name}, line {lines[-1] if lines else 1}: {error}") from None
        first, _, rest = text.lstrip().partition("\n")
        subject = first.lstrip("#").strip()
        if not subject.isprintable() or not subject:
            raise WrongTemplate(f"{self._name}: its first line must be the subject, such as # Please move your tools")
        return Draft(subject, rest.strip() + "\n")


def _shown(value: Any) -> Any:
    """What the template writes for a value."""
    if isinstance(value, (Markdown, int, float, jinja2.Undefined)):
        return value
    if isinstance(value, datetime):
        return day(value) if date(value) == day(value) else instant(value)
    return "" if value is None else code(str(value))


def _time(time: datetime) -> Markdown:
    return Markdown(instant(time))


def _pluralize(count: int, what: str) -> Markdown:
    return Markdown(pluralize(count, what))
