import argparse
from pathlib import Path

import pytest

from proxy.commands import options
from proxy.commands.status import CommandError, ExitStatus
from proxy.config.values import Address


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    options.add_config(made)
    options.add_overrides(made)
    options.add_format(made, "table", "json")
    return made


def test_an_option_overrides_the_environment_and_the_file(
    parser: argparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen: 127.0.0.1:1\nadmin: 127.0.0.1:1\nupstream: {url: http://file.example, timeout: 7}\n")
    monkeypatch.setenv("TRIGGER_SHIM__LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("TRIGGER_SHIM__ADMIN", "127.0.0.1:2")
    given = parser.parse_args(["--config", str(file), "--listen", "127.0.0.1:3", "--upstream", "http://option.example"])

    config = options.load_config(given)

    assert (config.listen, config.admin) == (Address("127.0.0.1", 3), Address("127.0.0.1", 2))
    assert (str(config.upstream.url), config.upstream.timeout) == ("http://option.example", 7)


def test_an_option_that_is_not_given_overrides_nothing(
    parser: argparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen: 127.0.0.1:1\n")
    monkeypatch.delenv("TRIGGER_SHIM__LISTEN", raising=False)

    assert options.load_config(parser.parse_args(["--config", str(file)])).listen == Address("127.0.0.1", 1)


def test_a_wrong_configuration_ends_the_command_with_all_its_problems(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen: nowhere\nworkers: many\n")

    with pytest.raises(CommandError) as raised:
        options.require_config(parser.parse_args(["--config", str(file)]))

    assert raised.value.status == ExitStatus.USAGE
    assert [key for problem in raised.value.problems for key in ("listen", "workers") if key in problem] == [
        "listen",
        "workers",
    ]


def test_the_first_format_is_the_default_and_others_are_refused(parser: argparse.ArgumentParser) -> None:
    assert parser.parse_args([]).format == "table"
    assert parser.parse_args(["--format", "json"]).format == "json"
    with pytest.raises(SystemExit):
        parser.parse_args(["--format", "csv"])


def test_a_named_ledger_takes_the_place_of_the_configured_one_whose_file_need_not_be_there(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("ledger_file: closed-to-this-user\n")
    given = argparse.Namespace(config=str(file), ledger="postgresql://lead@db.example/ledger")
    assert options.load_config(given).ledger == "postgresql://lead@db.example/ledger"
