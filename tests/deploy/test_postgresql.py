"""The roles of a ledger in PostgreSQL."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from proxy.callers.ledger import engines, schema
from proxy.callers.ledger.database import NotAllowed
from proxy.callers.ledger.ledger import Ledger
from proxy.commands import log_options
from tests.callers.lines import DAY, NOW, beats, log, nightly
from tests.commands.running import Run
from tests.deploy.tools import DEPLOY
from tests.support.ledgers import fill
from tests.support.postgresql import Postgresql, postgresql

ROLES = (DEPLOY / "postgresql" / "roles.sql").read_text(encoding="utf-8")
RECORDS = [*beats(NOW - 40 * DAY), *nightly(40, 1, token="a" * 12)]

ADMINISTRATORS = {"a superuser": "lead", "the owner on a managed server": "administrator"}
"""Who runs roles.sql, and as which role."""


class Roles(NamedTuple):
    """The addresses of a ledger for each role."""

    proxies: str
    lead: str


def as_role(address: str, role: str) -> str:
    return address.replace("//lead@", f"//{role}@")


def execute(address: str, statements: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statements.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        execute(running.address(), "CREATE ROLE administrator LOGIN CREATEROLE")
        yield running


@pytest.fixture(params=ADMINISTRATORS)
def roles(server: Postgresql, request: pytest.FixtureRequest) -> Iterator[Roles]:
    """A ledger that the proxies have created after the roles, as they do when they start."""
    address, administrator = server.new_database(), ADMINISTRATORS[request.param]
    database = address.rpartition("/")[2]
    execute(address, f"ALTER DATABASE {database} OWNER TO {administrator}")
    execute(as_role(address, administrator), ROLES)
    made = Roles(as_role(address, "trigger_shim"), as_role(address, "trigger_shim_lead"))
    fill(made.proxies, *RECORDS)
    yield made
    execute(server.address(), f"DROP DATABASE {database}")  # roles belong to the whole server
    execute(server.address(), "DROP ROLE trigger_shim, trigger_shim_lead")


def test_a_lead_can_read_every_report_and_change_nothing(
    run: Run, roles: Roles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_options, "now", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls.jsonl").write_bytes(log(*RECORDS))
    (tmp_path / "config.yaml").write_text(f"callers: {{log: calls.jsonl}}\nledger: '{roles.lead}'\n")

    reports = [("callers",), ("caller", "nightly"), ("check",), ("lifecycle",), ("callers", "--format", "html")]
    commands: list[Any] = [*reports, ("ledger", "check")]
    assert [run(*command).status for command in commands] == [0] * len(commands)
    assert "nightly" in run("callers").out
    for change in (("forget", "--caller", "nightly"), ("import", "calls.jsonl")):
        refused = run("ledger", *change)
        assert refused.status == 1
        assert "permission denied" in refused.said


def test_a_lead_can_add_letters_and_change_none(
    run: Run, roles: Roles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(engines.connect(roles.lead))
    ledger.check_letters()
    ledger.add_letters(["team-a"], NOW)
    assert ledger.last_letters() == {"team-a": NOW}
    ledger.close()
    for statement in ("DELETE FROM letters", "UPDATE letters SET written = 0", "DROP TABLE letters"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(roles.lead, statement)

    execute(roles.proxies, "REVOKE INSERT ON letters FROM trigger_shim_lead")
    with pytest.raises(NotAllowed):
        Ledger(engines.connect(roles.lead)).check_letters()
    refused = run("letters", "--due", "30d", "--ledger", roles.lead)
    assert (refused.status, refused.said) == (
        1,
        "trigger-shim: error: --due needs to know who had letters: PostgreSQL: permission denied for table letters;"
        " an administrator can GRANT INSERT ON letters to this role\n",
    )


def test_a_lead_can_read_the_tables_of_later_versions_and_never_the_key(roles: Roles) -> None:
    ledger = Ledger(engines.connect(roles.proxies))
    assert ledger.fingerprint_key(b"key") == b"key"
    ledger.close()
    execute(roles.proxies, "CREATE TABLE later (id BIGINT)")

    execute(roles.lead, "SELECT id FROM later")
    for statement in ("SELECT value FROM secrets", "SELECT count(*) FROM secrets", "SET ROLE trigger_shim"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(roles.lead, statement)


@pytest.mark.parametrize("table", ["secrets", "letters"])
def test_the_table_that_is_there_before_is_the_one_that_the_proxies_would_create(table: str) -> None:
    statements = itertools.chain.from_iterable(upgrade.statements for upgrade in schema.UPGRADES)
    [created] = [statement for statement in statements if f" {table} " in statement]
    assert created.removeprefix("CREATE TABLE IF NOT EXISTS ") in ROLES
