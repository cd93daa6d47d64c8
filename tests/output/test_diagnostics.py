import pytest

from proxy.output.diagnostics import operator


def test_a_line_is_one_line_that_a_terminal_does_not_act_on(capfd: pytest.CaptureFixture[str]) -> None:
    operator.warning("quoted: \x1b]0;pwn\x07 \x9b2J \u202e \ud800 \r\nerror: и")

    assert capfd.readouterr().err == (
        "trigger-shim: warning: quoted: \\u001b]0;pwn\\u0007 \\u009b2J \\u202e \\ud800 \\u000d\\u000aerror: и\n"
    )
