import bz2
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.commands.running import Ran, Run
from tests.commands.samples import nightly
from tests.support.ledgers import calls_by_caller, fill, stored_calls

pytestmark = pytest.mark.usefixtures("fixed_time")

NOWHERE = "postgresql://shim:s3cret@127.0.0.1:1/ledger"


@pytest.fixture(autouse=True)
def log_file(tmp_path: Path) -> str:
    records = [*beats(NOW - 20 * DAY), *nightly(20, 1), *nightly(20, 2, "weekly", token="a" * 12)]
    (tmp_path / "callers.jsonl").write_bytes(log(*records))
    (tmp_path / "config.yaml").write_text("callers: {log: callers.jsonl}")
    return str(tmp_path / "callers.jsonl")


def test_old_logs_are_counted_once(run: Run, address: str, log_file: str, tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl.gz"
    old.write_bytes(gzip.compress(log(*nightly(50, 41))))

    assert run("ledger", "import", "--ledger", address, log_file, str(old)) == Ran(
        0, "counted 70 records that the ledger did not have, of 2 files\n", ""
    )
    with Path(log_file).open("ab") as file:
        file.write(log(call(NOW)) + b'{"event":"depre')
    assert run("ledger", "import", log_file, str(old), "--ledger", address).out.startswith("counted 1 record that")
    assert stored_calls(address) == 50


def test_what_a_damaged_archive_lacks_is_counted_from_its_backup(run: Run, address: str, tmp_path: Path) -> None:
    archive, backup = tmp_path / "old.jsonl.gz", tmp_path / "old.jsonl"
    backup.write_bytes(log(*nightly(50, 1)))
    os.utime(backup, (1_000_000_000, 1_000_000_000))
    archive.write_bytes(gzip.compress(backup.read_bytes(), 0)[:-2000])
    for file in (archive, backup, archive, backup):
        assert run("ledger", "import", "--ledger", address, str(file)).status == 0
    assert stored_calls(address) == 50


def test_an_archive_that_cannot_be_read_at_all_is_known_once(run: Run, address: str, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl.bz2").write_bytes(bz2.compress(log(*nightly(50, 1)))[:40])
    for _ in range(2):
        assert run("ledger", "import", "--ledger", address, "old.jsonl.bz2").status == 0

    report = json.loads(run("callers", "--format", "json", "--ledger", address).out)
    assert report["verdict"] == "cannot_tell"
    assert report["reasons"][0].startswith("1 part of the log that may be a call cannot be read: ")


def test_the_ledger_is_compared_with_the_log(run: Run, address: str, log_file: str) -> None:
    run("ledger", "import", "--ledger", address, log_file)
    assert run("ledger", "check", "--ledger", address) == Ran(
        0, "compared 39 calls of 2026-11-04 to 2026-11-23: 0 differences\n", ""
    )
    fill(address, call(NOW - 5 * DAY, "weekly", token="a" * 12))
    assert run("ledger", "check", "--ledger", address, log_file) == Ran(
        1,
        "2026-11-19  weekly: 1 in the logs, 2 in the ledger\n"
        "compared 39 calls of 2026-11-04 to 2026-11-23: 1 difference\n",
        "",
    )


def test_differences_are_shown_in_part(run: Run, address: str) -> None:
    fill(address, call(NOW - 90 * DAY, token="a" * 12))
    ran = run("ledger", "check", "--ledger", address)

    assert (ran.status, len(ran.out.splitlines())) == (1, 22)
    assert ran.out.splitlines()[20:] == [
        "and 19 more differences",
        "compared 39 calls of 2026-11-04 to 2026-11-23: 39 differences",
    ]


def test_other_hosts_are_named(run: Run, address: str, log_file: str) -> None:
    run("ledger", "import", "--ledger", address, log_file)
    fill(address, *beats(NOW - 9 * DAY, instance="web\x1b2:7"), call(NOW - 5 * DAY, "weekly"))
    ran = run("ledger", "check", "--ledger", address)

    assert ran.status == 0
    assert ran.out.splitlines()[1] == (
        "The ledger has calls of other hosts, too (web\\u001b2): name their logs to find what only the ledger has."
    )


def test_persons_are_forgotten(run: Run, address: str) -> None:
    fill(address, *[call(NOW - days * DAY, client_ip="10.1.1.1", run_user="alice") for days in (70, 63, 62)])

    assert run("ledger", "forget", "--ledger", address, "--older-than", "62d") == Ran(
        0, "dropped addresses and users of 2 days before 2026-09-23\n", ""
    )


def test_a_caller_is_forgotten_by_its_name_of_today(run: Run, address: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("callers: {known: [{name: build, agent: nightly/*}]}")
    fill(address, *nightly(9, 1, user_agent="nightly/1"), *nightly(9, 1, "weekly"), *nightly(3, 1))

    assert run("ledger", "forget", "--ledger", address, "--caller", "build") == Ran(
        0, "dropped 9 calls of build; the log still has them\n", ""
    )
    ran = run("ledger", "forget", "--ledger", address, "--caller", "weakly")
    assert (ran.status, ran.said) == (
        1,
        "trigger-shim: error: weakly: no such caller in the ledger; did you mean weekly?\n",
    )
    ledger = Ledger(engines.connect(address))
    assert calls_by_caller(ledger) == {"weekly": 9, "nightly": 3}
    ledger.close()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("check", "--ledger", NOWHERE), 3, "PostgreSQL: "),
        (("check", "--ledger", "gone.db"), 3, "gone.db: No such file or directory"),
        (("check", "--ledger", "callers.jsonl"), 3, "callers.jsonl: file is not a database"),
        (("check", "gone.jsonl", "--ledger", "callers.db"), 3, "gone.jsonl: "),
        (("import", "callers.jsonl", "--ledger", NOWHERE), 1, "PostgreSQL: "),
        (("import", "gone.jsonl", "--ledger", "callers.db"), 1, "gone.jsonl: "),
        (("import", "-", "--ledger", "callers.db"), 2, "standard input cannot be told from what was counted before"),
        (("forget", "--older-than", "62d", "--ledger", "gone/callers.db"), 1, "gone/callers.db: "),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, tmp_path: Path, arguments: Any, status: int, said: str
) -> None:
    fill(str(tmp_path / "callers.db"), call())
    ran = run("ledger", *arguments)

    assert (ran.status, ran.out) == (status, "")
    assert ran.said.startswith(f"trigger-shim: error: {said}")
    assert "s3cret" not in ran.said


@pytest.mark.parametrize("age", ["0d", "62", "x", "5h"])
def test_an_age_is_a_number_of_days(run: Run, age: str) -> None:
    ran = run("ledger", "forget", "--older-than", age)

    assert ran.status == 2
    assert "write days or weeks, such as 92d or 4w" in ran.err


def test_without_a_ledger_it_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("ledger: null")

    ran = run("ledger", "check")
    assert ran == Ran(2, "", "trigger-shim: error: there is no ledger: set the key ledger, or use --ledger\n")
