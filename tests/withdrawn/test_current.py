import pytest

from proxy.withdrawn.endpoints import match
from tests.withdrawn.paths import CURRENT_FIRST_SEGMENTS, IDS, SECTION, matched, trigger


@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_a_first_segment_of_the_current_api_is_never_an_organization(segment: str) -> None:
    assert match("POST", trigger(org=segment)) is None


@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_an_organization_may_begin_or_end_with_a_word_of_the_current_api(segment: str) -> None:
    assert matched(trigger(org=f"{segment}-2")).segments["org"] == f"{segment}-2"
    assert matched(trigger(org=f"my-{segment}")).segments["org"] == f"my-{segment}"


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_below_a_first_segment_of_the_current_api_there_is_no_withdrawn_row(
    name: str, method: str, path: str, segment: str
) -> None:
    assert match(method, path.replace("acme", segment)) is None
    assert matched(path.replace("acme", f"{segment}-2"), method).endpoint.name == name


@pytest.mark.parametrize(("name", "method", "path"), [("trigger", "POST", trigger()), *SECTION])
@pytest.mark.parametrize("second", IDS)
def test_what_is_named_by_its_id_is_no_repository_whoever_owns_it(
    name: str, method: str, path: str, second: str
) -> None:
    assert match(method, path.replace("acme/shop", f"whatever_comes_next/{second}")) is None
    assert matched(path, method).endpoint.name == name
