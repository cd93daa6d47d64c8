import pytest

from proxy.scan.fix import kinds

CALL = "curl https://example.com\n"


@pytest.mark.parametrize(
    "file",
    ["a.sh", "a b/Makefile", "GNUmakefile", "rules.mk", "Dockerfile", "x/Dockerfile.prod", "prod.dockerfile",
     "Containerfile", "ci.yml", "Jenkinsfile", "a.groovy"],
)  # fmt: skip
def test_calls_are_changed_where_commands_are(file: str) -> None:
    assert kinds.problem(CALL, file) is None


@pytest.mark.parametrize("file", ["README.md", "notes.txt", "crontab", "a.bat", "a.ps1", "deploy", "app.service"])
def test_and_nowhere_else(file: str) -> None:
    assert (kinds.problem(CALL, file) or "").startswith("calls are changed only in shell scripts, ")


def test_the_first_line_can_say_what_a_file_is() -> None:
    assert kinds.problem(f"#!/bin/sh\n{CALL}", "deploy") is None
    assert kinds.problem("#!/usr/bin/env python3\n", "deploy") is None


def test_a_file_that_would_take_long_to_read_is_left_alone() -> None:
    assert kinds.problem(CALL + "#" * (1 << 20), "a.sh") == "calls are changed only in files of up to 1 MiB"
