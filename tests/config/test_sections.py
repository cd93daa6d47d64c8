import pytest
import yaml

from proxy import config
from proxy.config import values
from tests.config.loading import READ, SECRET, Load, Problems, lines, one


def test_all_problems_are_named_at_once(problems: Problems) -> None:
    found = problems(
        "listen: here\nspeed: 9\nupstream: {url: nowhere, timeout: 0}\nlimits: 5\ncallers: {lag: x}\n",
        {"TRIGGER_SHIM__LIFECYCLE__SUNSET": "soon", "TRIGGER_SHIM__WORKERS": "[", "TRIGGER_SHIM__TLS": "'"},
        {"listen": "there"},
    )

    keys = {problem.partition(": ")[0] for problem in found}
    sections = {"listen", "speed", "upstream.url", "upstream.timeout", "limits", "callers.lag", "lifecycle.sunset"}
    assert keys == sections | {"TRIGGER_SHIM__WORKERS", "TRIGGER_SHIM__TLS"}
    assert len(found) == len(keys)


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("lisen: 127.0.0.1:80", "lisen", "listen"),
        ("Listen: 127.0.0.1:80", "Listen", "listen"),
        ("upstream: {uri: x}", "upstream.uri", "upstream.url"),
        ("upstream: {time_out: 5}", "upstream.time_out", "upstream.timeout"),
        ("upstream.url: https://api.example", "upstream.url", "upstream"),
        ("limits: {in-flight: 5}", "limits.in-flight", "limits.in_flight"),
        ("lifecycle: {sun_set: null}", "lifecycle.sun_set", "lifecycle.sunset"),
        ("callers: {fingerprint: x}", "callers.fingerprint", "callers.fingerprint_key"),
        ("tls: {cert: x}", "tls.cert", "tls.certificate"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    problems: Problems, text: str, key: str, nearest: str
) -> None:
    found = next(problem for problem in problems(text) if "unknown" in problem)

    assert found.startswith(f"{key}: ")
    assert nearest in found.partition("; ")[2].replace("?", " ").split()


def test_an_unknown_key_like_no_other_is_refused_with_all_known_ones(problems: Problems) -> None:
    found = one(problems("zzz: 1"))

    assert found.startswith("zzz: ")
    assert all(key in found for key in ("listen", "admin", "upstream", "limits", "lifecycle", "callers", "log", "tls"))


def test_what_is_rendered_masks_the_secret_and_the_mask_is_not_taken_for_one(load: Load, problems: Problems) -> None:
    read = load(lines("callers.fingerprint_key", SECRET))

    text = config.render(read)

    assert SECRET not in text
    assert yaml.safe_load(text)["callers"]["fingerprint_key"] == values.MASK
    assert one(problems(text)).startswith("callers.fingerprint_key: ")
    assert load(text, {"TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY": SECRET}) == read


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, text, _ in READ if key != "callers.fingerprint_key"])
def test_what_is_rendered_reads_back_to_the_same(load: Load, key: str, text: str) -> None:
    read = load(lines(key, text))

    assert load(config.render(read)) == read
