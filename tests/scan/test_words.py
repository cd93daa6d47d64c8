import pytest

from proxy.scan.finding import Confidence
from proxy.scan.patterns import find


def looks(text: str) -> list[str]:
    found = find(text)
    assert not any(one.hit.confidence.is_call for one in found)
    return [one.found for one in found if one.hit.confidence is Confidence.LOOK]


@pytest.mark.parametrize(
    "text",
    [
        "jq -r .{}",
        "jq -r '.[\"{}\"]'",
        "answer.json()['{}']",
        "response.{}",
        'data.get("{}")',
        'JsonPath.read("$.{}")',
        'ID string `json:"{}"`',
        "$answer->{}",
        "answer['{}']",
        "answer.dig('{}')",
    ],
)
@pytest.mark.parametrize("field", ["flux_public_id", "trigger_status"])
def test_a_field_that_is_read_is_to_be_looked_at(text: str, field: str) -> None:
    assert looks(text.format(field)) == [field]


@pytest.mark.parametrize(
    "text",
    [
        "trigger_status = models.CharField()",
        "CREATE TABLE a (trigger_status text)",
        'up{trigger_status="on"}',
        "self.trigger_status",
        "flux_id: 1",
        "curl https://zabbix.example.com/a | jq .trigger_status",
        "action.triggerStatus",
        "trigger_status_code .trigger_status_code",
    ],
)
def test_a_field_of_another_service_is_not(text: str) -> None:
    assert looks(text) == []
    assert len(looks(f"# flux_public_id\n{text}")) == (1 if "_code" in text else 2)


@pytest.mark.parametrize(
    ("field", "successor"), [("flux_public_id", "slug"), ("trigger_status", "no successor"), ("fluxPublicId", "slug")]
)
def test_the_advice_says_what_the_new_answer_has(field: str, successor: str) -> None:
    [found] = find(f"nothing_to_start[x].{field}")

    assert found.hit.replacement.startswith(successor)


@pytest.mark.parametrize(
    "text",
    [
        "P=ci_workflows",
        "P = 'ci_workflows'",
        'url = f"{api}/{org}/{repo}/ci_workflows/{name}"',
        "WF=$API/acme/shop/ci_workflows/",
        "workflows: '{{ api }}/acme/shop/ci_workflows'",
        "call('/acme/shop/ci_workflows/build', '/trigger')",
        "parts = ['ci_workflows', name]",
        '(str api "/" org "/" repo "/ci_workflows/" name "/trigger")',
        "acl old path_reg ^/[^/]+/[^/]+/ci_workflows/",
    ],
)
def test_a_beginning_of_a_path_is_to_be_looked_at(text: str) -> None:
    assert looks(text) == ["ci_workflows"]


@pytest.mark.parametrize(
    "text",
    [
        "our ci_workflows are here",
        "ci_workflows: [build]",
        '{"ci_workflows": 1}',
        "ci_workflows = load()",
        "docs/ci_workflows/README.md",
        ".github/ci_workflows/build/trigger.yml",
        "path.join(root, 'ci_workflows')",
        "cd $HOME/ci_workflows",
        "self.ci_workflows",
        "my-ci_workflows",
        "https://github.com/acme/ci_workflows",
        "ls /srv/acme/ci_workflows/build",
    ],
)
def test_a_folder_or_a_key_of_that_name_is_not(text: str) -> None:
    assert looks(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "API=https://api.sourcecraft.tech",
        "api: https://api.sourcecraft.tech/",
        'const api = process.env.API || "https://api.sourcecraft.tech";',
        'os.environ.get("API", "https://api.sourcecraft.tech")',
        "ENV API https://api.sourcecraft.tech",
        "API=${API:-https://api.sourcecraft.tech}",
        "<api>https://api.sourcecraft.tech</api>",
        "set API=https://api.sourcecraft.tech",
        "API ?= https://api.sourcecraft.tech",
    ],
)
def test_the_base_url_is_the_one_line_to_change(text: str) -> None:
    [found] = find(text)

    assert (found.hit.endpoint, found.hit.confidence) == ("base_url", Confidence.NOTE)
    assert found.found.rstrip("/") == "https://api.sourcecraft.tech"


@pytest.mark.parametrize(
    "text",
    [
        "see https://api.sourcecraft.tech for more",
        "API=https://api.sourcecraft.tech/repos/acme/shop",
        "API=https://api.sourcecraft.tech.example",
        'x = "https://api.sourcecraft.tech/" + path',
        "API=https://not-api.sourcecraft.tech",
    ],
)
def test_other_urls_are_not(text: str) -> None:
    assert find(text) == []
