import subprocess
import sys

import pytest

from tests.commands.running import COMMAND


@pytest.mark.parametrize("arguments", [["translate", "--help"], ["translate", "nowhere.json"]])
def test_python_m_proxy_is_the_command(arguments: list[str]) -> None:
    module, command = (
        subprocess.run([*start, *arguments], capture_output=True, check=False)
        for start in ([sys.executable, "-m", "proxy"], [COMMAND])
    )

    assert (module.returncode, module.stdout, module.stderr) == (command.returncode, command.stdout, command.stderr)
    assert module.stdout + module.stderr
