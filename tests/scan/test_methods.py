import pytest

from proxy.scan.patterns import find


@pytest.mark.parametrize(
    "line",
    [
        "curl -X DELETE {}",
        "curl {} --request DELETE",
        "curl -H x \\\n  {} \\\n  -XDELETE",
        "curl {} ^\r\n  -X DELETE",
        "requests.delete('{}')",
        "client.DeleteAsync('{}')",
        "http.NewRequest(http.MethodDelete, '{}')",
        "Net::HTTP::Delete.new('{}')",
        "fetch('{}', {{method: 'delete'}})",
        "DELETE {} HTTP/1.1",
    ],
)
def test_the_method_of_a_change_to_a_repository_stands_on_its_line(line: str) -> None:
    [found] = find(line.format("https://api.sourcecraft.tech/acme/shop"))

    assert found.endpoint == "delete_repository"
    assert find(line.format("https://api.example/acme/shop")) == []


def test_a_method_on_another_line_is_another_calls() -> None:
    assert find("curl -X DELETE $OTHER\ncurl https://api.sourcecraft.tech/acme/shop\n") == []
