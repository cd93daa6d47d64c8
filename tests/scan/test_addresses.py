import pytest

from proxy.scan.finding import Confidence
from proxy.scan.patterns import find


def confidences(text: str) -> list[Confidence]:
    return [found.hit.confidence for found in find(text) if found.hit.confidence is not Confidence.NOTE]


@pytest.mark.parametrize(
    "host",
    [
        "https://gitlab.example.com",
        "https://user:secret@builds.example.org:8443",
        "https://sourcecraft.dev",
        "sourcecraft.dev",
        "//sourcecraft.dev",
        "${BUILDS_URL:-https://builds.example.org}",
        "https://not-api.sourcecraft.tech",
        "https://api.sourcecraft.tech.example",
    ],
)
@pytest.mark.parametrize("path", ["/acme/shop/cicd/runs", "/$ORG/$REPO/cicd/runs/$RUN"])
def test_runs_of_another_host_are_none(host: str, path: str) -> None:
    assert find(f"GET {host}{path}") == []


@pytest.mark.parametrize(
    "host", ["http://localhost:8080", "http://127.0.0.1", "http://trigger-shim", "https://shim.corp.example"]
)
def test_a_host_that_may_be_the_proxy_is_looked_at(host: str) -> None:
    assert confidences(f"GET {host}/acme/shop/cicd/runs") == [Confidence.LOOK]


@pytest.mark.parametrize(
    ("host", "confidence"),
    [
        ("https://api.sourcecraft.tech", Confidence.CERTAIN),
        ("https://token@api.sourcecraft.tech:443", Confidence.CERTAIN),
        ("${API:-https://api.sourcecraft.tech}", Confidence.CERTAIN),
        ("$API", Confidence.CERTAIN),
        ("http://trigger-shim:8080", Confidence.CERTAIN),
        ("https://builds.example.org", Confidence.LIKELY),
    ],
)
def test_a_trigger_is_one_under_any_host(host: str, confidence: Confidence) -> None:
    assert confidences(f"POST {host}/acme/shop/ci_workflows/build/trigger") == [confidence]


@pytest.mark.parametrize(
    ("base", "confidence"),
    [
        ("https://api.sourcecraft.tech", Confidence.CERTAIN),
        ("$API", Confidence.LIKELY),
        ("", Confidence.LIKELY),
    ],
)
def test_only_the_service_itself_makes_a_call_of_runs_certain(base: str, confidence: Confidence) -> None:
    assert confidences(f"GET {base}/acme/shop/cicd/runs") == [confidence]
