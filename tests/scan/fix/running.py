"""Runs what is in a repository, as the program that it is written for would."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import yaml

from tests.support.programs import program
from tests.support.waiting import PATIENCE

Run = Callable[[Path, str], None]

GITHUB = {
    "github.repository": "acme/shop",
    "github.ref_name": "main",
    "github.sha": "25ae02f94bef174fa7a44084908c6dda494862a9",
    "inputs.workflow": "other",
    "secrets.SOURCECRAFT_TOKEN": "t",
}
JENKINS = {"params.BRANCH": "main"}
_DOCKER = re.compile(r"^(RUN|ENV|ARG) ((?:.*\\\n)*.*)$", re.MULTILINE)
_STEP = re.compile(r"""sh\(?(?:script: )? ?('''|\"\"\"|'|")((?:\\.|(?!\1).)*)\1""", re.DOTALL)


def _done(folder: Path, *command: str, **environment: str) -> str:
    variables = {
        "PATH": os.environ["PATH"],
        "TOKEN": "t",
        "BRANCH": "main",
        "CI_COMMIT_REF_NAME": "main",
        **environment,
    }
    ran = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _bash(folder: Path, script: str, **environment: str) -> None:
    _done(folder, program("bash"), "-eo", "pipefail", "-c", script, **environment)


def shell(folder: Path, _url: str) -> None:
    _done(folder, "scripts/release.sh", "v1.2", DEPLOY="yes")
    _done(folder, program("sh"), "scripts/nightly.sh")


def make(folder: Path, _url: str) -> None:
    _done(folder, program("make"))


def docker(folder: Path, _url: str) -> None:
    variables: dict[str, str] = {}
    for kind, text in _DOCKER.findall((folder / "Dockerfile").read_text()):
        if kind != "RUN":
            variables |= dict(word.split("=") for word in shlex.split(text))
        elif "apt-get" not in text:
            _bash(folder, re.sub(r"^--mount=\S+\s+(?:\\\n)?", "", text), **variables)


def gitlab(folder: Path, _url: str) -> None:
    file = yaml.safe_load((folder / ".gitlab-ci.yml").read_text())
    for job in file.values():
        if isinstance(job, dict) and "script" in job:
            _bash(folder, "\n".join(job["script"]), **file["variables"])


def github(folder: Path, _url: str) -> None:
    file = yaml.safe_load((folder / ".github/workflows/deploy.yml").read_text())
    for step in file["jobs"]["deploy"]["steps"]:
        environment = {name: _filled(value) for name, value in {**file["env"], **step.get("env", {})}.items()}
        _bash(folder, _filled(step.get("run", "true")), **environment)


def _filled(text: str) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: GITHUB[found[1]], text)


def jenkins(folder: Path, url: str) -> None:
    values = {**JENKINS, "env.API": url}

    def piece(found: re.Match[str]) -> str:
        """What Groovy makes of an escape or, between double quotes, of an expression."""
        if found[0][0] == "\\":
            return "" if found[0][1] == "\n" else found[0][1]
        return values[found[1]] if is_double else found[0]

    for quotes, text in _STEP.findall((folder / "Jenkinsfile").read_text()):
        is_double = quotes[0] == '"'
        _bash(folder, re.sub(r"\\.|\$\{([\w.]+)\}", piece, text, flags=re.DOTALL), API=url)


def python(folder: Path, _url: str) -> None:
    assert _done(folder, sys.executable, "shopctl/client.py") == "prepared\n"


def javascript(folder: Path, _url: str) -> None:
    assert _done(folder, program("node"), "lib/trigger.mjs") == "1\n"


def ansible(folder: Path, _url: str) -> None:
    variables = yaml.safe_load((folder / "vars.yml").read_text())
    for task in yaml.safe_load((folder / "roles/deploy/tasks/main.yml").read_text()):
        command: Any = task.get("ansible.builtin.shell") or task["ansible.builtin.command"]
        text = command["cmd"] if isinstance(command, dict) else command
        _bash(folder, jinja2.Template(text, keep_trailing_newline=True).render(variables))


def mixed(folder: Path, _url: str) -> None:
    program("jq")
    assert "\n1\n" in _done(folder, program("make"))
