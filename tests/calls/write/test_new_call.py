import pytest

from proxy.calls.shell import script
from proxy.calls.write import new_call
from proxy.calls.write.written import Target

CALL = script.read(
    'curl https://api.sourcecraft.tech/repos/acme/shop/cicd/runs -d \'{"workflows": [{"name": "build"}]}\''
).calls[0]
STARTS = {
    Target.CURL: "curl -X POST",
    Target.HTTPIE: "http --ignore-stdin",
    Target.PYTHON: "import requests",
    Target.JAVASCRIPT: "const response",
    Target.SRC: "src run trigger",
}


@pytest.mark.parametrize("target", Target)
def test_each_target_has_its_writer(target: Target) -> None:
    assert new_call.write(CALL, target).text.startswith(STARTS[target])
