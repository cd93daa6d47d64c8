import re
import subprocess
import sys
from pathlib import Path

import yaml

from proxy import config
from proxy.commands.status import ExitStatus
from proxy.gateway.processes.supervisor import PATIENCE
from proxy.gateway.server.server import GRACE
from tests.deploy.systemd import FOLDER, INSTALLED, SERVICE, SETTINGS, UNIT
from tests.deploy.tools import DEPLOY, adapted
from tests.support.programs import program


def _here(folder: Path) -> str:
    """The unit, with the command of this environment."""
    unit = folder / UNIT.name
    unit.write_text(adapted(UNIT, {INSTALLED: str(Path(sys.executable).with_name("trigger-shim"))}))
    return str(unit)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    command = [program("systemd-analyze"), "verify", "--man=no", _here(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    # It warns of a key that it does not know, and its status is 0 all the same.
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_unix_socket_may_be_opened_as_the_pages_show_it(tmp_path: Path) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```ini\n(\[Socket\]\n.*?)```", page, re.DOTALL)
    [where] = re.findall(r"`listen: (unix:\S+)`", page)
    assert f"ListenStream={config.load(None, {}, {'listen': where}).listen.name}\n" in shown
    assert f"`listen: {where}`" in (DEPLOY / "nginx" / "README.md").read_text(encoding="utf-8")
    _here(tmp_path)
    (tmp_path / "trigger-shim.socket").write_text((FOLDER / "trigger-shim.socket").read_text())
    (tmp_path / "trigger-shim.socket.d").mkdir()
    (tmp_path / "trigger-shim.socket.d" / "override.conf").write_text(shown)
    command = [program("systemd-analyze"), "verify", "--man=no", str(tmp_path / "trigger-shim.socket")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_the_unit_leaves_open_is_less_than_2_of_10(tmp_path: Path) -> None:
    command = [program("systemd-analyze"), "security", "--offline=true", "--no-pager", _here(tmp_path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for trigger-shim\.service: ([\d.]+)", text)
    assert found is not None, text
    assert float(found[1]) < 2.0


def test_the_unit_starts_what_there_is_and_waits_until_it_says_that_it_serves() -> None:
    assert SERVICE["ExecStart"] == f"{INSTALLED} serve --config /etc/trigger-shim/config.yaml"
    assert SERVICE["ExecReload"] == f"{INSTALLED} reload --config /etc/trigger-shim/config.yaml"
    assert SERVICE["Type"] == "notify"


def test_a_stop_gives_the_calls_under_way_their_time() -> None:
    assert float(SERVICE["TimeoutStopSec"]) > SETTINGS.limits.drain + GRACE + PATIENCE


def test_there_are_files_enough_for_all_the_calls_that_may_be_under_way() -> None:
    # Each has a connection of the caller and one to the service; as many callers again may be idle.
    assert int(SERVICE["LimitNOFILE"]) > 4 * SETTINGS.limits.in_flight + SETTINGS.upstream.max_connections


def test_a_wrong_configuration_is_not_tried_again() -> None:
    assert SERVICE["Restart"] == "on-failure"
    assert int(SERVICE["RestartPreventExitStatus"]) == ExitStatus.USAGE


def test_the_log_lies_where_the_service_may_write_and_its_group_may_read() -> None:
    assert Path(SETTINGS.callers.log).parent == Path("/var/log", SERVICE["LogsDirectory"])
    assert int(SERVICE["LogsDirectoryMode"], 8) & 0o777 == 0o750
    assert int(SERVICE["UMask"], 8) & 0o040 == 0


def test_the_configuration_differs_from_the_defaults_by_the_log_and_the_key_alone() -> None:
    given = yaml.safe_load((FOLDER / "config.yaml").read_text())
    callers = {"log": SETTINGS.callers.log, "fingerprint_key_file": "/etc/trigger-shim/fingerprint-key"}
    assert given == {"listen": str(config.load(None, {}).listen), "callers": callers}


def test_each_secret_is_a_credential_that_the_configuration_reads(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    credentials = dict(re.findall(r"^#?LoadCredential=([\w-]+):/etc/trigger-shim/([\w-]+)$", text, re.MULTILINE))
    variables = dict(re.findall(r"^#?Environment=(\w+)=%d/([\w-]+)$", text, re.MULTILINE))
    assert set(credentials) == set(credentials.values()) == set(variables.values()) == {"fingerprint-key", "ledger"}
    (tmp_path / "fingerprint-key").write_text("made-up-key-of-the-test")
    (tmp_path / "ledger").write_text("postgresql://shim@db.example/ledger")
    read = config.load(None, {variable: str(tmp_path / name) for variable, name in variables.items()})
    assert read.callers.fingerprint_key == "made-up-key-of-the-test"
    assert read.ledger == "postgresql://shim@db.example/ledger"


def test_systemd_finds_nothing_wrong_with_a_unit_whose_ledger_is_a_credential(tmp_path: Path) -> None:
    unit = Path(_here(tmp_path))
    unit.write_text(re.sub(r"^#(?=LoadCredential|Environment)", "", unit.read_text(), flags=re.MULTILINE))
    ran = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_the_user_and_the_group_of_the_unit_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = [program("systemd-sysusers"), f"--root={tmp_path}", str(FOLDER / "sysusers.conf")]
    subprocess.run(command, check=True, capture_output=True)
    for kind, file in (("User", "passwd"), ("Group", "group")):
        [made] = (tmp_path / "etc" / file).read_text().splitlines()
        assert made.split(":")[0] == SERVICE[kind]


def test_no_core_is_written() -> None:
    assert SERVICE["LimitCORE"] == "0"


def test_memory_has_room_for_a_worker_with_a_report() -> None:
    text = UNIT.read_text(encoding="utf-8")
    worker, report = (int(found) for found in re.findall(r"(\d+) MiB with (?:64|10,000)", text))
    assert SERVICE["MemoryMax"] == "1G"
    assert worker + report < int(SERVICE["MemoryHigh"].removesuffix("M")) < 1024
