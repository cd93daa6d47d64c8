import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.commands import COMMANDS
from proxy.commands.completion import SHELLS
from tests.commands.running import Run
from tests.support.processes import running
from tests.support.programs import program
from tests.support.terminals import read_until

SCRIPTS = {
    "bash": """
source completion
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_trigger_shim
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": 'source completion; complete -C "$argv"',
}


def completed(run: Run, folder: Path, shell: str, *words: str) -> set[str]:
    """What a shell offers for the last word."""
    (folder / "completion").write_text(run("completion", shell).out)
    command = [program(shell), "-c", SCRIPTS[shell], *(["bash"] if shell == "bash" else []), *words]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert ran.stderr == ""
    return {line.partition("\t")[0].strip() for line in ran.stdout.splitlines()} - {""}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_commands_options_and_choices_are_completed(run: Run, tmp_path: Path, shell: str) -> None:
    assert completed(run, tmp_path, shell, "trigger-shim", "c") == {name for name in COMMANDS if name.startswith("c")}
    assert completed(run, tmp_path, shell, "trigger-shim", "callers", "--s") == {"--since", "--sort", "--state"}
    assert completed(run, tmp_path, shell, "trigger-shim", "callers", "--format", "m") == {"markdown"}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_files_are_completed(run: Run, tmp_path: Path, shell: str) -> None:
    (tmp_path / "march.jsonl").write_text("")
    assert completed(run, tmp_path, shell, "trigger-shim", "callers", "mar") == {"march.jsonl"}
    assert completed(run, tmp_path, shell, "trigger-shim", "serve", "--config", "mar") == {"march.jsonl"}


@pytest.fixture
def zsh(run: Run, tmp_path: Path) -> Iterator[int]:
    """A terminal with a zsh that knows the command, after its prompt."""
    (tmp_path / "_trigger-shim").write_text(run("completion", "zsh").out)
    (tmp_path / "march.jsonl").write_text("")
    terminal, inside = pty.openpty()
    command = [program("zsh"), "-f", "-i"]
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "%", "HOME": str(tmp_path)}
    shell = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    )
    with running(shell):
        os.close(inside)
        os.write(terminal, b"fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; PS1='re''ady>'\n")
        try:
            read_until(terminal, b"ready>")
            yield terminal
        finally:
            os.close(terminal)  # ends the shell, which ignores SIGTERM


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("fing", "fingerprint "),
        ("callers --form", "--format "),
        ("callers --format ma", "markdown "),
        ("callers --config mar", "march.jsonl "),
        ("callers mar", "march.jsonl "),
    ],
)
def test_zsh_completes_them_too(zsh: int, typed: str, wanted: str) -> None:
    os.write(zsh, f"trigger-shim {typed}\t".encode())
    read_until(zsh, wanted.removeprefix(typed.rpartition(" ")[2]).encode())


def test_another_shell_is_refused_with_those_that_there_are(run: Run) -> None:
    ran = run("completion", "csh")
    assert ran.status == 2
    assert all(shell in ran.err for shell in SHELLS)
