import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.shared_key import find_key
from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key
from tests.support.ledgers import Connect
from tests.support.postgresql import Postgresql


def test_hosts_that_share_a_ledger_have_one_key(server: Postgresql, tmp_path: Path) -> None:
    address = server.new_schema()
    logs = [str(tmp_path / str(host) / "callers.jsonl") for host in range(5)]
    with ThreadPoolExecutor(10) as threads:
        keys = list(threads.map(lambda log: find_key(None, log, address), [*logs, *[STDOUT] * 5]))

    assert len(set(keys)) == 1
    assert len(keys[0]) >= 32


def test_the_key_of_the_first_host_s_log_becomes_that_of_the_ledger(server: Postgresql, tmp_path: Path) -> None:
    log, address = str(tmp_path / "callers.jsonl"), server.new_schema()
    before = fingerprint_key(None, log)

    assert find_key(None, log, address) == find_key(None, STDOUT, address) == before


def test_a_ledger_in_a_file_has_its_key_beside_the_log_or_beside_itself(tmp_path: Path) -> None:
    log, ledger = str(tmp_path / "log" / "callers.jsonl"), str(tmp_path / "ledger" / "callers.db")

    assert find_key(None, log, ledger) == fingerprint_key(None, log)
    assert find_key(None, STDOUT, ledger) == fingerprint_key(None, ledger) != fingerprint_key(None, log)


def test_a_configured_key_wins(server: Postgresql) -> None:
    assert find_key("configured", STDOUT, server.new_schema()) == b"configured"


NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def test_without_the_ledger_the_key_of_the_log_is_used(tmp_path: Path, capsys: Any) -> None:
    log = str(tmp_path / "callers.jsonl")

    assert find_key(None, log, NOWHERE) == fingerprint_key(None, log)
    assert "the fingerprint key may not be that of the ledger" in capsys.readouterr().err


def test_the_key_of_the_ledger_is_still_known_when_the_ledger_is_away(server: Postgresql, tmp_path: Path) -> None:
    log, address = str(tmp_path / "callers.jsonl"), server.new_schema()
    shared = find_key(None, STDOUT, address)
    assert fingerprint_key(None, log) != shared
    find_key(None, log, address)

    assert find_key(None, log, NOWHERE) == shared
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_ledger_that_cannot_be_written_stops_no_start(tmp_path: Path, capsys: Any) -> None:
    assert len(find_key(None, STDOUT, "/proc/self/nowhere/callers.db")) >= 32
    assert "fingerprints of tokens change with every start" in capsys.readouterr().err

    (tmp_path / "callers.key").write_text("short")
    with pytest.raises(OSError, match="does not have"):
        find_key(None, STDOUT, str(tmp_path / "callers.db"))


def test_the_first_proposal_is_kept(connect: Connect) -> None:
    one, other = Ledger(connect()), Ledger(connect())
    one.open()
    assert one.fingerprint_key(b"first") == other.fingerprint_key(b"second") == b"first"


def test_no_ledger_means_the_file(tmp_path: Path) -> None:
    log = str(tmp_path / "callers.jsonl")
    assert find_key(None, log, None) == fingerprint_key(None, log)
