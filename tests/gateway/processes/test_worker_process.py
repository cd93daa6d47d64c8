from pathlib import Path

from tests.support.processes import events
from tests.support.serving import command, ended


def test_a_worker_that_cannot_start_stops_the_proxy(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'proxy.gateway.processes.worker' in sys.orig_argv:\n    os._exit(3)\n"
    )
    end = ended(command("http://upstream.example", tmp_path, workers=2), PYTHONPATH=str(tmp_path))
    assert (end.returncode, end.stdout) == (1, "")
    [failed] = events(end.stderr)
    assert (failed["event"], failed["message"]) == ("serve_failed", "a worker does not start: it ended with status 3")
