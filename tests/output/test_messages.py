import sys

import pytest

from proxy.output import messages


def test_each_message_is_a_line_with_its_level(capfd: pytest.CaptureFixture[str]) -> None:
    messages.info("examined 1 file")
    messages.warning("no log")
    messages.error("no such file")

    assert capfd.readouterr().err == (
        "trigger-shim: examined 1 file\ntrigger-shim: warning: no log\ntrigger-shim: error: no such file\n"
    )


def test_what_a_terminal_would_act_on_is_escaped(capfd: pytest.CaptureFixture[str]) -> None:
    messages.info("\udc80 \u2028 \x9b2J\nü")

    assert capfd.readouterr().err == "trigger-shim: \\udc80 \\u2028 \\u009b2J\\u000aü\n"


def test_without_standard_error_a_message_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    messages.error("lost")
