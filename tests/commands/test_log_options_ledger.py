"""Which ledger the reports read, and what they say of one that they cannot read."""

from pathlib import Path

import pytest

from proxy.callers.ledger import engines, schema
from proxy.callers.ledger.database import Database
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.commands.running import Run
from tests.commands.samples import nightly, rows
from tests.support.ledgers import fill

pytestmark = pytest.mark.usefixtures("fixed_time")

REPORTS = (("callers",), ("caller", "nightly"), ("lifecycle",))
RECORDS = [*beats(NOW - 40 * DAY), *nightly(40, 1, token="a" * 12)]


def configure(folder: Path, ledger: str, more: str = "") -> None:
    (folder / "config.yaml").write_text(f"callers: {{log: calls.jsonl}}\nledger: '{ledger}'\n{more}")


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report[0])
def test_each_report_reads_the_ledger(run: Run, address: str, tmp_path: Path, report: tuple[str, ...]) -> None:
    (tmp_path / "calls.jsonl").write_bytes(log(call(NOW - DAY, "logged")))
    fill(address, *RECORDS)
    named = run(*report, "--ledger", address)
    configure(tmp_path, address)

    assert run(*report) == named
    assert named.status == 0
    assert "nightly" in named.out
    assert "logged" not in named.out
    if report[0] == "callers":
        assert named.said == "trigger-shim: Read 40 calls in the ledger.\n"


def test_check_reads_the_ledger(run: Run, address: str, tmp_path: Path) -> None:
    fill(address, *RECORDS)
    configure(tmp_path, "gone.db", "lifecycle: {sunset: 2027-01-01}")
    named = run("check", "--ledger", address).out
    configure(tmp_path, address, "lifecycle: {sunset: 2027-01-01}")

    for out in (named, run("check").out):
        assert "#   affects nightly" in out.splitlines()


def test_until_there_is_a_ledger_the_log_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").write_bytes(log(*RECORDS))
    configure(tmp_path, "gone.db")

    assert rows(run("callers").out)[1][0] == "nightly"
    (tmp_path / "calls.jsonl").unlink()
    assert run("callers").said.startswith("trigger-shim: error: calls.jsonl: there is no log yet")
    (tmp_path / "config.yaml").write_text("callers: {log: '-'}\nledger: gone.db\n")
    assert run("callers").said == (
        "trigger-shim: error: gone.db: there is no ledger yet, and callers.log is standard output:"
        " name the files, or - to read them from standard input\n"
    )


def test_the_log_is_read_where_it_is_named(run: Run, address: str, tmp_path: Path) -> None:
    fill(address, *RECORDS)
    configure(tmp_path, address)
    (tmp_path / "other.jsonl").write_bytes(log(call(NOW - DAY, "logged")))

    assert rows(run("callers", "other.jsonl").out)[1][0] == "logged"
    ran = run("callers", "other.jsonl", "--ledger", address)
    assert (ran.status, ran.said) == (2, "trigger-shim: error: name log files or --ledger, not both\n")


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report[0])
@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ("postgresql://shim:s3cret@127.0.0.1:1/ledger", "PostgreSQL: connection failed: "),
        ("gone.db", "gone.db: No such file or directory"),
        ("notes.txt", "notes.txt: file is not a database"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_one_line(
    run: Run, tmp_path: Path, report: tuple[str, ...], ledger: str, said: str
) -> None:
    (tmp_path / "notes.txt").write_text("notes" * 1000)
    ran = run(*report, "--ledger", ledger)

    assert (ran.status, ran.out) == (2, "")
    assert ran.said.startswith(f"trigger-shim: error: {said}")
    assert "s3cret" not in ran.said


@pytest.mark.parametrize("gate", [("--fail-unless-safe",), ("--fail-if-active", "14d")])
def test_a_gate_cannot_tell_without_its_ledger(run: Run, gate: tuple[str, ...]) -> None:
    ran = run("callers", *gate, "--ledger", "postgresql://127.0.0.1:1/ledger")

    assert (ran.status, ran.out) == (3, "")
    assert ran.said.startswith("trigger-shim: error: PostgreSQL: ")


@pytest.mark.parametrize("address", ["mysql://shim:s3cret@db/ledger", "postgresql://shim:s3cret@db:x/ledger"])
def test_a_wrong_address_is_refused_without_its_password(run: Run, address: str) -> None:
    ran = run("callers", "--ledger", address)

    assert ran.status == 2
    assert "write a path, or postgresql://USER@HOST/DATABASE" in ran.err
    assert "s3cret" not in ran.err


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report[0])
def test_a_ledger_of_a_later_version_is_one_line(run: Run, address: str, report: tuple[str, ...]) -> None:
    fill(address, *RECORDS)
    database: Database = engines.connect(address)
    with database.transaction(writes=True) as transaction:
        transaction.execute("INSERT INTO versions (version, oldest) VALUES (?, ?)", [schema.VERSION + 1] * 2)
    database.close()
    ran = run(*report, "--ledger", address)

    assert (ran.status, ran.out) == (2, "")
    assert ran.said == (
        f"trigger-shim: error: the ledger has version {schema.VERSION + 1}, for proxies that know version"
        f" {schema.VERSION + 1} or later, and this one knows {schema.VERSION}: use the later version of the proxy\n"
    )
