import os
import subprocess
import sys
from pathlib import Path


def test_a_worker_without_a_supervisor_ends(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        end = subprocess.run(
            [sys.executable, "-m", "proxy.gateway.processes.worker", str(ours)],
            pass_fds=(ours,),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    finally:
        os.close(ours)
    assert (end.returncode, end.stdout, end.stderr) == (1, "", "")
