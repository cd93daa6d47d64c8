import subprocess
from pathlib import Path

from proxy import __version__
from proxy.gateway import child


def test_a_module_is_found_from_any_folder_and_not_shadowed_by_one_there(tmp_path: Path) -> None:
    (tmp_path / "proxy.py").write_text("raise SystemExit(9)")

    ran = subprocess.run(
        child.command("proxy", "--version"), env=child.environment(), cwd=tmp_path, capture_output=True, check=True
    )

    assert ran.stdout == f"trigger-shim {__version__}\n".encode()


def test_variables_are_added_to_the_environment_of_this_process() -> None:
    environment = child.environment({"PATH": "/nowhere"})

    assert environment["PATH"] == "/nowhere"
    assert environment.keys() - {"PYTHONPATH"} == child.environment().keys() - {"PYTHONPATH"}
