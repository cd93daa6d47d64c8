import os
import signal
import subprocess
import threading
from typing import Any

import pytest

from tests.bench import running


def test_a_signal_that_comes_while_a_process_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun = subprocess.Popen, []

    def interrupted(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        begun.append(start(command, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        os.read(arrived, 1)
        return begun[0]

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    arrived, arrives = os.pipe()
    os.set_blocking(arrives, False)
    signal.set_wakeup_fd(arrives)
    over = threading.Event()
    threading.Thread(target=over.wait).start()  # which takes any signal that the main thread blocks
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(KeyboardInterrupt), running.started(["sleep", "600"]):
            pytest.fail("the block has begun")
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.set_wakeup_fd(-1)
        for end_of_pipe in (arrived, arrives):
            os.close(end_of_pipe)
        over.set()
    assert begun[0].wait(60) == -signal.SIGKILL
