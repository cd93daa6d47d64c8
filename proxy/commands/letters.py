"""Writes a letter to each owner of callers that still call."""

import argparse
import contextlib
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable, NotAllowed
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import NoLog
from proxy.callers.render import mail
from proxy.callers.render.letter_template import Draft, Wording, WrongTemplate
from proxy.callers.render.letters import Letter, by_owner, make_letter
from proxy.callers.render.profile import make_profile
from proxy.callers.render.unowned import unowned_to_markdown
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.rows import Row
from proxy.commands import log_options
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.output import messages, terminal
from proxy.output.formatting import day, join_names, pluralize, printable, shortened

SUMMARY = "write a letter to each owner: what to change, and by when"
EPILOG = """\
examples:
  trigger-shim letters --to september
  trigger-shim letters --to october --due 30d
  trigger-shim letters --owner team-build | sendmail -t
  trigger-shim letters --owner team-build --format markdown"""

UNOWNED = "_without-owner.md"
"""The file with the callers that have no owner. No letter has such a name."""

_MOST_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--to",
        metavar="FOLDER",
        help="write a file for each owner into this folder, a new one each time (default: standard output)",
    )
    parser.add_argument("--owner", metavar="NAME", help="write only to this owner")
    parser.add_argument(
        "--due",
        type=log_options.duration,
        metavar="DURATION",
        help="leave out owners who had a letter within the last DURATION, such as 30d",
    )
    add_format(parser, "eml", "markdown")
    log_options.add_logs(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    try:
        analysis = log_options.read_calls(config, options.files, options.ledger, wants_detail=lambda _: True)
    except NoLog as problem:
        raise CommandError(ExitStatus.USAGE, str(problem)) from None
    history = _History(log_options.ledger_address(config, options.files, options.ledger))
    with contextlib.closing(history):
        return _write(analysis, config, history, options)


def _write(analysis: Analysis, config: Config, history: "_History", options: argparse.Namespace) -> ExitStatus:
    if options.due is not None and history.problem is not None:
        raise CommandError(ExitStatus.FAILED, f"--due needs to know who had letters: {history.problem}")
    owners = by_owner(analysis.report.callers)
    unowned = owners.pop(None, [])
    writer = _LetterWriter(options, history, analysis.report.now)
    for letter, draft in _drafts(writer.chosen(owners), analysis, config):
        writer.send(letter, draft)
    if unowned and options.owner is None:
        profiles = [make_profile(row, analysis.detail_of(row.name), config.successor_url) for row in unowned]
        writer.list_unowned(len(unowned), unowned_to_markdown(profiles, analysis.report.now))
    writer.report()
    return ExitStatus.FAILED if writer.has_failed else ExitStatus.OK


def _drafts(owners: Mapping[str, list[Row]], analysis: Analysis, config: Config) -> list[tuple[Letter, Draft]]:
    """All letters in words, before the first one is written: the template may fail."""
    policy, base, sender = config.lifecycle, config.successor_url, config.letters.sender
    letters = [make_letter(name, rows, analysis, policy, base=base, sender=sender) for name, rows in owners.items()]
    try:
        wording = Wording(config.letters.template)
        return [(letter, wording.write(letter)) for letter in letters]
    except WrongTemplate as problem:
        raise CommandError(ExitStatus.USAGE, f"letters.template: {problem}") from None


class _History:
    """Who had letters, as the ledger remembers it.

    Args:
        address: of the ledger; None if there is none.

    Attributes:
        last: when each owner had the last one.
        problem: why letters cannot be remembered; None if they can.
    """

    def __init__(self, address: str | None) -> None:
        self.last: dict[str, datetime] = {}
        self.problem: str | None = None
        self._ledger: Ledger | None = None
        if address is None:
            self.problem = "no ledger is read"
            return
        try:
            self._ledger = Ledger(engines.connect(address))
            self.last = self._ledger.last_letters()
            self._ledger.check_letters()
        except NotAllowed as problem:
            self.problem = f"{problem}; an administrator can GRANT INSERT ON letters to this role"
        except LedgerUnavailable as problem:
            self.problem = str(problem)

    def add(self, owner: str, at: datetime) -> bool:
        """Remember a letter, and return whether that was possible."""
        if self.problem is None and self._ledger is not None:
            try:
                self._ledger.add_letters([owner], at)
            except LedgerUnavailable as problem:
                self.problem = str(problem)
        return self.problem is None

    def close(self) -> None:
        """Close the connection to the ledger."""
        if self._ledger is not None:
            self._ledger.close()


class _Folder:
    """A folder with a file for each letter."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(ExitStatus.FAILED, f"--to: {path}: {error.strerror}") from None

    def put(self, name: str, text: str) -> None:
        """Write a file, or leave no part of it: nobody is to send half a letter."""
        part = self.path / f".{name}.part"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(self.path / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise


class _StandardOutput:
    """Letters one after the other."""

    def __init__(self, separator: str) -> None:
        self._separator, self._before = separator, ""

    def put(self, _name: str, text: str) -> None:
        """Print a letter; if that fails, the command ends."""
        try:
            print(self._before + text, end="", flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            terminal.stop_printing()
            raise CommandError(ExitStatus.FAILED, f"standard output: {error.strerror}") from None
        self._before = self._separator


class _LetterWriter:
    """Writes letters, and tells what became of each.

    Args:
        options: of the command.
        history: who had letters.
        now: the time of the letters.

    Attributes:
        has_failed: whether something could not be written.
    """

    def __init__(self, options: argparse.Namespace, history: _History, now: datetime) -> None:
        self.has_failed = False
        self._options, self._history, self._now = options, history, now
        self._is_markdown = options.format == "markdown"
        self._suffix = ".md" if self._is_markdown else ".eml"
        self._folder = _Folder(options.to) if options.to is not None else None
        self._target = self._folder or _StandardOutput("\n" if self._is_markdown else "")
        self._written: list[str] = []  # names of files
        self._left_out: dict[str, str] = {}  # owners that get no letter, and why
        self._without_to: dict[str, str] = {}  # owners without a mail address, and what they have
        self._forgotten: list[str] = []  # owners whose letter is not remembered
        self._list = ""

    def chosen(self, owners: Mapping[str | None, list[Row]]) -> dict[str, list[Row]]:
        """The owners that get a letter, each with its callers, in order of their names."""
        named = {name: owners[name] for name in sorted(name for name in owners if name is not None)}
        if (only := self._options.owner) is not None:
            if only not in named:
                raise log_options.unknown_caller(only, "in the log", named, "owner")
            named = {only: named[only]}
        for name, rows in named.items():
            last, due = self._history.last.get(name), self._options.due
            if not rows:
                self._left_out[name] = "none of its callers calls any more"
            elif due is not None and last is not None and last > self._now - due:
                self._left_out[name] = f"had one on {day(last)}"
        return {name: rows for name, rows in named.items() if name not in self._left_out}

    def send(self, letter: Letter, draft: Draft) -> None:
        """Write a letter, and remember it."""
        name = file_name(letter.owner) + self._suffix
        try:
            self._target.put(name, draft.markdown if self._is_markdown else self._message(letter, draft))
        except BrokenPipeError:
            raise
        except OSError as error:
            self.has_failed = True
            self._left_out[letter.owner] = error.strerror or type(error).__name__
            return
        self._written.append(name)
        if not self._history.add(letter.owner, self._now):
            self._forgotten.append(letter.owner)

    def _message(self, letter: Letter, draft: Draft) -> str:
        to = [address for contact in letter.contacts for address in mail.mail_addresses(contact)]
        if not to:
            self._without_to[letter.owner] = join_names(letter.contacts) or "no contact"
        message = mail.to_message(draft, to, mail.mail_addresses(letter.sender), letter.date)
        return mail.to_text(message, in_mbox=self._folder is None and self._options.owner is None)

    def list_unowned(self, count: int, text: str) -> None:
        """Write the list of callers without an owner, unless it would be in a mail box."""
        self._list = f"; {'1 caller has' if count == 1 else f'{count} callers have'} no owner"
        if self._folder is None and not self._is_markdown:
            self._list += ", see --format markdown or --to"
            return
        try:
            self._target.put(UNOWNED, text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.has_failed = True
            self._list += f", but the list cannot be written: {error.strerror}"
            return
        self._list += f", see {self._folder.path / UNOWNED}" if self._folder is not None else ""

    def report(self) -> None:
        """Say what was written, and to whom not."""
        if self._without_to:
            messages.warning(f"no To in letters to {_explained(self._without_to)}: write a mail address as contact")
        if self._forgotten:
            messages.warning(f"letters to {join_names(self._forgotten)} are not remembered: {self._history.problem}")
        where = ""
        if self._folder is not None:
            where = f" to {self._folder.path}"
            files = {path.name for path in self._folder.path.glob(f"*{self._suffix}")} - {*self._written, UNOWNED}
            if files:
                letters = pluralize(len(files), "letter")
                messages.warning(f"{self._folder.path} also has {letters} from before: send none twice")
        none = f"; none for {_explained(self._left_out)}" if self._left_out else ""
        messages.info(f"wrote {pluralize(len(self._written), 'letter')}{where}{none}{self._list}")


def _explained(owners: Mapping[str, str]) -> str:
    """The first owners, each with what is said of it."""
    texts = [f"{shortened(printable(owner))} ({why})" for owner, why in islice(owners.items(), _MOST_SHOWN)]
    more = [f"and {len(owners) - _MOST_SHOWN} more"] if len(owners) > _MOST_SHOWN else []
    return ", ".join(texts + more)


def file_name(owner: str) -> str:
    """The name of an owner's file, without a suffix: lower-case, and another one for each owner."""
    name = re.sub("[^a-z0-9]+", "-", owner.lower())[:60].strip("-")
    if name == owner:
        return name
    digest = hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name or 'owner'}_{digest}"
