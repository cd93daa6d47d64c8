import pytest

from proxy.gateway.upstream.reachability import CALM, Reachability


def test_it_is_told_once_and_again_when_it_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]

    def said() -> list[str]:
        service.update()
        return capsys.readouterr().err.splitlines()

    service = Reachability("https://api.example", lambda: now[0])
    assert said() == []
    for _ in range(3):
        service.failed("it refused the connection")
    assert said() == [
        'trigger-shim: warning: upstream unreachable target=https://api.example reason="it refused the connection"'
    ]
    now[0] += 2 * CALM
    assert said() == []  # nobody has tried
    service.worked()
    service.failed("its name is not known")
    now[0] += CALM
    assert (said(), service.reason) == ([], "its name is not known")
    service.worked()
    assert said() == []
    now[0] += 0.1
    assert said() == ["trigger-shim: upstream reachable target=https://api.example"]
    assert service.reason is None
