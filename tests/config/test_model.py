import functools
import ipaddress
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy import config
from proxy.callers.identity import Rule
from proxy.config import Config, ConfigError, sections
from proxy.config.values import Address
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy
from tests.paths import ROOT

SHIPPED = ROOT / "config.yaml"
SECRET = "s3cret-S3cret-s3cret"

DESIGNED = """
listen: 127.0.0.1:8080          # legacy tooling points here
admin: 127.0.0.1:9901           # health, metrics, the callers page; null switches it off
workers: 1
upstream:  {url: https://api.sourcecraft.tech, connect_timeout: 5, timeout: 60, keepalive: 5, max_connections: 512}
limits:    {body: 1MiB, in_flight: 1024, drain_delay: 0, drain: 30, retry_window: 60}
lifecycle: {deprecated: 2025-12-01, sunset: null, documentation: https://example.org/x, brownouts: [], freeze: null}
callers:   {log: logs/callers.jsonl, heartbeat: 3600, trusted_proxies: [127.0.0.0/8, "::1/128"], header: null,
            fingerprint_key: null, known: []}
tls: null                       # or {certificate: FILE, key: FILE}
"""


class Load(Protocol):
    def __call__(
        self, text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> Config: ...


class Problems(Protocol):
    def __call__(
        self, text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> list[str]: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    file = tmp_path / "config.yaml"

    def load(
        text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> Config:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return config.load(str(file), environment or {}, flags)

    return load


@pytest.fixture
def problems(load: Load) -> Problems:
    def problems(
        text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, environment, flags)
        return caught.value.problems

    return problems


def one(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def lines(key: str, value: str) -> str:
    """The YAML that sets one dotted key."""
    section, dot, inner = key.partition(".")
    return f"{section}:\n  {inner}: {value}\n" if dot else f"{key}: {value}\n"


def variable(key: str) -> str:
    return "TRIGGER_SHIM__" + key.replace(".", "__").upper()


def at(read: Config, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), read)


# --- each value

READ = [
    ("listen", "127.0.0.1:0", Address("127.0.0.1", 0)),
    ("listen", "0.0.0.0:65535", Address("0.0.0.0", 65535)),
    ("listen", "localhost:8080", Address("localhost", 8080)),
    ("listen", '"[::1]:8080"', Address("::1", 8080)),
    ("admin", "10.0.0.1:9000", Address("10.0.0.1", 9000)),
    ("admin", "null", None),
    ("workers", "1", 1),
    ("workers", "64", 64),
    ("upstream.url", "https://api.example", "https://api.example"),
    ("upstream.url", "https://api.example/", "https://api.example"),
    ("upstream.url", "http://api.example:1", "http://api.example:1"),
    ("upstream.url", "http://api.example:65535", "http://api.example:65535"),
    ("upstream.url", "http://[::1]:9000", "http://[::1]:9000"),
    ("upstream.connect_timeout", "0.001", 0.001),
    ("limits.drain_delay", "0", 0.0),
    ("limits.drain_delay", "2.5", 2.5),
    ("limits.retry_window", "0", 0.0),
    ("upstream.timeout", "31622400", 31622400),
    ("upstream.keepalive", "1", 1),
    ("upstream.max_connections", "1", 1),
    ("limits.body", "1", 1),
    ("limits.body", '"1"', 1),
    ("limits.body", "1KiB", 1024),
    ("limits.body", "3 MiB", 3 * 1024**2),
    ("limits.body", "1GiB", 1024**3),
    ("limits.in_flight", "1", 1),
    ("limits.drain", "0.5", 0.5),
    ("lifecycle.deprecated", "null", None),
    ("lifecycle.deprecated", "2025-12-02", datetime(2025, 12, 2, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
    ("lifecycle.sunset", '"2026-12-31"', datetime(2026, 12, 31, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31 12:30:00", datetime(2026, 12, 31, 12, 30, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31T12:00:00Z", datetime(2026, 12, 31, 12, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31T12:00:00+03:00", datetime(2026, 12, 31, 9, tzinfo=UTC)),
    ("lifecycle.documentation", "https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
    ("lifecycle.documentation", "null", None),
    ("callers.log", '"-"', "-"),
    ("callers.log", "/var/log/callers.jsonl", "/var/log/callers.jsonl"),
    ("callers.heartbeat", "60", 60),
    ("callers.trusted_proxies", "[]", ()),
    ("callers.trusted_proxies", "10.0.0.0/8", (ipaddress.ip_network("10.0.0.0/8"),)),
    (
        "callers.trusted_proxies",
        '[10.0.0.0/8, 192.0.2.1, "2001:db8::/32"]',
        (
            ipaddress.ip_network("10.0.0.0/8"),
            ipaddress.ip_network("192.0.2.1/32"),
            ipaddress.ip_network("2001:db8::/32"),
        ),
    ),
    ("callers.fingerprint_key", "null", None),
    ("callers.fingerprint_key", "sixteen-letters!", "sixteen-letters!"),
    ("tls", "null", None),
]


@pytest.mark.parametrize(("key", "text", "expected"), READ)
def test_a_sound_value_is_read(load: Load, key: str, text: str, expected: object) -> None:
    assert at(load(lines(key, text)), key) == expected


@pytest.mark.parametrize(("key", "text", "expected"), READ)
def test_an_environment_variable_is_read_as_the_same_yaml(load: Load, key: str, text: str, expected: object) -> None:
    assert at(load("", {variable(key): text}), key) == expected


def test_a_time_without_a_zone_is_in_utc_wherever_the_machine_stands(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-9")
        time.tzset()
        read = load("lifecycle: {deprecated: 2026-01-01, sunset: 2026-01-01 12:00:00}").lifecycle
    time.tzset()

    assert read.deprecated == datetime(2026, 1, 1, tzinfo=UTC)
    assert read.sunset == datetime(2026, 1, 1, 12, tzinfo=UTC)


REFUSED = {
    ("listen", "HOST:PORT"): [
        *["8080", ":8080", "localhost", "'localhost:'", "localhost:http", "localhost:65536", "localhost:-1"],
        *['"::1:8080"', '"[::1]"', '"[]:80"', '"a b:80"', '"localhost:80 "', "null", "true", "[a]", "{}"],
    ],
    ("admin", "HOST:PORT"): ["9901", "localhost:65536", "false", '""'],
    ("upstream.url", "https://HOST"): [
        *["null", "8080", "api.example", "ftp://api.example", "https://", "https:///path", '"https://a b"'],
        *[
            "http://api.example:0",
            "http://api.example:65536",
            "http://api.example:x",
            '"http://[::1"',
            "https://пример",
        ],
        '"https://api.example\\n"',
    ],
    ("limits.drain_delay", "0 or more"): ["-1", "null", '"5"', "true", ".nan", ".inf", "5s", "99999999"],
    ("upstream.connect_timeout", "seconds"): ["0", "-1", "null", '"5"', "true", ".nan", ".inf", "-.inf", "5s"],
    ("upstream.timeout", "seconds"): ["0", "0.0", "31622401", "1" + "0" * 400, "[5]"],
    ("upstream.keepalive", "seconds"): ["0", "-0.1", "no"],
    ("limits.drain", "seconds"): ["0", "-1", "1e3", "{}"],
    ("callers.heartbeat", "seconds"): ["0", "null", "1h"],
    ("upstream.max_connections", "1 or more"): ["0", "-1", "1.0", '"1"', "true", "null"],
    ("limits.in_flight", "1 or more"): ["0", "0.5", "many", "[]"],
    ("workers", "1 or more"): ["0", "-2", "1.5", "auto", "null"],
    ("limits.body", "1MiB"): [
        "0",
        "0MiB",
        "-1",
        "1.5",
        "1.5MiB",
        "1MB",
        "1mib",
        "MiB",
        "1  MiB",
        "true",
        "null",
        "[1]",
    ],
    ("lifecycle.deprecated", "2026-12-31"): ["2025-13-01", "2025-02-29", "20251201", "soon", "true", "[2025-12-01]"],
    ("lifecycle.sunset", "2026-12-31"): [
        *["2026-00-01", "2026-12-31T25:00:00", "31.12.2026", "9999-12-31T23:59:59-03:00", "0001-01-01T00:00:00+03:00"],
    ],
    ("lifecycle.documentation", "https://"): [
        *["example.org", "ftp://example.org", "https://", '"https://example.org/a b"', '"https://example.org/<"'],
        *['"https://example.org/>"', "https://example.org/ы", "5", "'https://example.org/\"'"],
    ],
    ("callers.log", "path"): ["null", '""', '" "', "5", '"a\\0b"', "[a]"],
    ("callers.trusted_proxies", "10.0.0.0/8"): [
        *[
            "null",
            "{}",
            "[10.0.0.1/8]",
            "[10.0.0.0/33]",
            "[localhost]",
            "[null]",
            "[10]",
            "[[10.0.0.0/8]]",
        ],
    ],
    ("callers.fingerprint_key", "openssl rand"): ["fifteen-letters", "5", "1234567890123456", "[]", "true", '""'],
    ("tls", "certificate, key"): ["true", "cert.pem", "[a, b]"],
    ("upstream", "url, connect_timeout"): ["null", "3", "https://api.example", "[]"],
}


@pytest.mark.parametrize(
    ("key", "fix", "text"), [(key, fix, text) for (key, fix), texts in REFUSED.items() for text in texts]
)
def test_a_wrong_value_is_refused_with_its_key_and_the_fix(problems: Problems, key: str, fix: str, text: str) -> None:
    found = one(problems(lines(key, text)))

    assert found.startswith(f"{key}: ")
    assert fix in found.partition("; ")[2]
    assert one(problems("", {variable(key): text})) == found


@pytest.mark.parametrize(
    "url", ["https://user@api.example", "https://user:password@api.example", "https://:@api.example", "http://@host"]
)
def test_credentials_in_the_upstream_url_are_refused(problems: Problems, url: str) -> None:
    found = one(problems(lines("upstream.url", url)))

    assert found.startswith("upstream.url: ")
    assert "remove them" in found


@pytest.mark.parametrize("url", ["https://api.example?a=b", "https://api.example/#", "https://api.example/x?"])
def test_a_query_or_a_fragment_in_the_upstream_url_is_refused(problems: Problems, url: str) -> None:
    found = one(problems(lines("upstream.url", f"'{url}'")))

    assert found.startswith("upstream.url: ")
    assert "remove everything from the ? or # on" in found


def test_tls_names_two_files_that_exist(load: Load, problems: Problems, tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()

    read = load(f"tls: {{certificate: {pem}, key: {pem}}}").tls

    assert read == config.Tls(str(pem), str(pem))
    for missing in (f"{pem}.gone", str(tmp_path), f"{pem}/inside", "x" * 5000, "null", '"\\0"'):
        found = one(problems(f"tls: {{certificate: {missing}, key: {pem}}}"))
        assert found.startswith("tls.certificate: ")
        assert "PEM file" in found


def test_tls_without_one_of_its_files_names_the_missing_one(problems: Problems, tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()

    assert one(problems(f"tls: {{certificate: {pem}}}")).startswith("tls.key: ")
    assert one(problems(f"tls: {{key: {pem}}}")).startswith("tls.certificate: ")
    assert [found.partition(": ")[0] for found in problems("tls: {}")] == ["tls.certificate", "tls.key"]


# --- the whole


def test_all_problems_are_named_at_once(problems: Problems) -> None:
    found = problems(
        "listen: here\nspeed: 9\nupstream: {url: nowhere, timeout: 0}\nlimits: 5\ncallers: {lag: x}\n",
        {"TRIGGER_SHIM__LIFECYCLE__SUNSET": "soon", "TRIGGER_SHIM__ADMIN": "[", "TRIGGER_SHIM__TLS": "'"},
        {"listen": "there"},
    )

    keys = {problem.partition(": ")[0] for problem in found}
    sections = {"listen", "speed", "upstream.url", "upstream.timeout", "limits", "callers.lag", "lifecycle.sunset"}
    assert keys == sections | {"TRIGGER_SHIM__ADMIN", "TRIGGER_SHIM__TLS"}
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
    assert all(key in found for key in ("listen", "admin", "upstream", "limits", "lifecycle", "callers", "tls"))


@pytest.mark.parametrize(
    "text", ["5: 1", "null: 1", "true: 1", "1.5: 1", '"a\\nb": 1', '"\\u2028": 1', "? !!binary eA==\n: 1"]
)
def test_a_key_that_is_no_plain_text_is_refused_in_one_line(problems: Problems, text: str) -> None:
    assert len(one(problems(text)).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("listen: 127.0.0.1:1\nadmin: null\nadmin: null", 3),
        ("admin: null\nupstream:\n  timeout: 9\n  timeout: 9\n", 4),
        ("upstream: {timeout: 9}\nadmin: null\nupstream: {}", 3),
    ],
)
def test_a_duplicated_key_is_refused_with_its_line(problems: Problems, text: str, line: int) -> None:
    found = one(problems(text))

    assert "duplicated" in found
    assert f"line {line}:" in found


def test_a_merged_mapping_may_be_overridden(load: Load) -> None:
    read = load("upstream: &base {timeout: 9, keepalive: 3}\nlimits:\n  <<: {drain: 1, in_flight: 2}\n  drain: 7\n")

    assert [at(read, key) for key in ("upstream.timeout", "limits.drain", "limits.in_flight")] == [9, 7, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"listen: \xff", "UTF-8"),
        ("admin: null\nlisten: [", "line 2"),
        ("listen: 'x", "line 1"),
        ("\tlisten: x", "line 1"),
        ("listen: *x", "line 1"),
        ("listen: !x y", "line 1"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("listen: \0", "not allowed"),
        ("[" * 500, "deep"),
        ("upstream: {timeout: !!int x}", "!tag"),
        ("upstream: {timeout: !!bool x}", "!tag"),
        ("upstream: {timeout: !!timestamp x}", "!tag"),
        ("upstream: {timeout: " + "9" * 5000 + "}", "too long"),
        ("just a text", "a string"),
        ("- a\n- list", "a list"),
        ("5", "5"),
        ("false", "a boolean"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(
    problems: Problems, tmp_path: Path, text: str | bytes, said: str
) -> None:
    found = one(problems(text))

    assert found.startswith(f"{tmp_path / 'config.yaml'}: ")
    assert said in found
    assert "; " in found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize("tag", ["!!set [a]", "!!omap [a]", "!!pairs x", "!!map [a]", "!!str {a: b}"])
def test_a_tag_that_does_not_fit_is_refused(problems: Problems, tag: str) -> None:
    assert problems(f"upstream: {tag}")


def test_nothing_can_be_made_but_plain_values(problems: Problems) -> None:
    assert one(problems("listen: !!python/object/apply:os.getcwd []"))


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "null", "{}", "\ufeff"])
def test_an_empty_file_means_the_defaults(load: Load, text: str) -> None:
    assert load(text) == Config()


def test_a_byte_order_mark_is_no_part_of_the_first_key(load: Load) -> None:
    assert load("\ufeffadmin: null").admin is None


@pytest.mark.parametrize("name", ["gone.yaml", "config.yaml/inside", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.yaml").touch()

    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path / name), {})

    found = one(caught.value.problems)
    assert found.startswith(f"{tmp_path / name}: ")
    assert "--config" in found


def test_config_yaml_in_the_working_folder_is_read_unless_another_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load(None, {}) == Config()

    Path("config.yaml").write_text("admin: null")
    Path("other.yaml").write_text("listen: 127.0.0.1:1")

    assert config.load(None, {}) == Config(admin=None)
    assert config.load("other.yaml", {}) == Config(listen=Address("127.0.0.1", 1))


# --- environment and flags


def test_the_environment_overrides_the_file_key_by_key(load: Load) -> None:
    read = load(
        "upstream: {url: https://file.example, timeout: 9}\nadmin: null",
        {"TRIGGER_SHIM__UPSTREAM__URL": "https://environment.example", "TRIGGER_SHIM__LIMITS__DRAIN": "2"},
    )

    assert read == Config(
        admin=None,
        upstream=config.Upstream(url="https://environment.example", timeout=9),
        limits=config.Limits(drain=2),
    )


def test_flags_override_both(load: Load) -> None:
    read = load(
        "listen: 127.0.0.1:1\nupstream: {url: https://file.example, timeout: 9}",
        {"TRIGGER_SHIM__UPSTREAM__URL": "https://environment.example", "TRIGGER_SHIM__LISTEN": "127.0.0.1:2"},
        {"listen": "127.0.0.1:3", "upstream": {"url": "https://flag.example"}},
    )

    assert str(read.listen) == "127.0.0.1:3"
    assert [at(read, key) for key in ("upstream.url", "upstream.timeout")] == ["https://flag.example", 9]


def test_a_variable_may_hold_a_whole_section_which_more_exact_ones_override(load: Load) -> None:
    read = load(
        "upstream: {keepalive: 2}",
        {
            "TRIGGER_SHIM__UPSTREAM": "{timeout: 9, url: https://section.example}",
            "TRIGGER_SHIM__UPSTREAM__URL": "https://exact.example",
        },
    )

    assert read.upstream.url == "https://exact.example"
    assert [at(read, key) for key in ("upstream.timeout", "upstream.keepalive")] == [9, 2]


def test_an_empty_variable_means_null(load: Load) -> None:
    assert load("", {"TRIGGER_SHIM__ADMIN": ""}).admin is None


def test_other_variables_do_not_count(load: Load) -> None:
    others = {"TRIGGER_SHIM_LISTEN": "x", "LISTEN": "x", "TRIGGER_SHIM": "x", "X_TRIGGER_SHIM__LISTEN": "["}

    assert load("", others) == Config()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("TRIGGER_SHIM__LISTNE", "listne"),
        ("TRIGGER_SHIM__UPSTREAM__URI", "upstream.uri"),
        ("TRIGGER_SHIM__UPSTREAM__URL__HOST", "upstream.url"),
        ("TRIGGER_SHIM__LISTEN__PORT", "listen"),
        ("TRIGGER_SHIM__", ""),
        ("TRIGGER_SHIM__UPSTREAM__", "upstream."),
        ("TRIGGER_SHIM____URL", ""),
    ],
)
def test_a_variable_for_no_known_key_is_refused(problems: Problems, name: str, key: str) -> None:
    assert one(problems("", {name: "x"})).startswith(f"{key}: ")
    assert problems("listen: 127.0.0.1:1\nupstream: {url: https://file.example}", {name: "x"})


@pytest.mark.parametrize("text", ["[", "'", "{a: 1, a: 2}", "*x", "!x y", "[" * 500, "\0", "\udcff", "!!int x"])
def test_a_variable_that_is_not_yaml_is_named(problems: Problems, text: str) -> None:
    found = one(problems("", {"TRIGGER_SHIM__LISTEN": text}))

    assert found.startswith("TRIGGER_SHIM__LISTEN: ")
    assert len(found.splitlines()) == 1


def test_a_variable_that_holds_no_section_where_one_belongs_is_refused(problems: Problems) -> None:
    file = "upstream: {url: https://file.example}"

    assert one(problems(file, {"TRIGGER_SHIM__UPSTREAM": "3"})).startswith("upstream: ")


@pytest.mark.parametrize("file", ["", "upstream: {url: https://file.example, timeout: 9}"])
def test_a_variable_for_a_section_and_one_for_its_key_clash_under_the_name_of_the_section(
    problems: Problems, file: str
) -> None:
    found = problems(file, {"TRIGGER_SHIM__UPSTREAM": "x", "TRIGGER_SHIM__UPSTREAM__URL": "https://exact.example"})

    assert {problem.partition(": ")[0] for problem in found} == {"upstream"}


def test_a_flag_does_not_hide_a_section_that_is_none(problems: Problems) -> None:
    found = problems("upstream: 3", {}, {"upstream": {"url": "https://flag.example"}})

    assert {problem.partition(": ")[0] for problem in found} == {"upstream"}


# --- contradictions

SOUND = [
    "listen: 127.0.0.1:9901\nadmin: null",
    "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0",
    "upstream: {connect_timeout: 59.9}",
    "upstream: {connect_timeout: 0.1, timeout: 0.2}",
    "lifecycle: {deprecated: 2026-01-01, sunset: 2026-01-01}",
    "lifecycle: {deprecated: 2026-01-01T03:00:00+03:00, sunset: 2026-01-01T00:00:00Z}",
    "lifecycle: {deprecated: null, sunset: 2001-01-01}",
]


@pytest.mark.parametrize("text", SOUND)
def test_what_is_no_contradiction_is_read(load: Load, text: str) -> None:
    load(text)


@pytest.mark.parametrize(
    ("text", "key", "other"),
    [
        ("listen: 127.0.0.1:9901", "admin", "listen"),
        ("listen: 127.0.0.1:81\nadmin: 10.0.0.1:81", "admin", "listen"),
        ("upstream: {connect_timeout: 60}", "upstream.connect_timeout", "upstream.timeout"),
        ("upstream: {timeout: 5}", "upstream.connect_timeout", "upstream.timeout"),
        ("upstream: {timeout: 4.9}", "upstream.connect_timeout", "upstream.timeout"),
        ("lifecycle: {sunset: 2025-11-30}", "lifecycle.sunset", "lifecycle.deprecated"),
        (
            "lifecycle: {deprecated: 2026-01-01T00:00:00Z, sunset: 2026-01-01T02:59:59+03:00}",
            "lifecycle.sunset",
            "lifecycle.deprecated",
        ),
    ],
)
def test_a_contradiction_is_refused_with_both_keys(problems: Problems, text: str, key: str, other: str) -> None:
    found = one(problems(text))

    assert found.startswith(f"{key}: ")
    assert other in found


def test_several_contradictions_are_named_at_once(problems: Problems) -> None:
    found = problems("listen: 127.0.0.1:9901\nupstream: {timeout: 1}\nlifecycle: {sunset: 2020-01-01}\ntls: {}")

    assert len(found) == 5


# --- secrets


@pytest.mark.parametrize(
    "text",
    [
        f"callers: {{fingerprint_key: [{SECRET}]}}",
        f"callers: {{fingerprint_key: {{{SECRET}: 1}}}}",
        f"callers: {{fingerprint_key: *{SECRET}}}",
        f"callers: {{fingerprint_key: !{SECRET} x}}",
        f"callers: {{fingerprint_key: !{SECRET}!x y}}",
        f"callers: {{fingerprint_key: !!int {SECRET}}}",
        f"callers: {{fingerprint_key: '{SECRET}}}",
        f"callers: {{fingerprint_key: @{SECRET}}}",
        f"callers: {{fingerprint_key:{SECRET}, log: x}}",
        f"callers: {{fingerprint_key {SECRET}}}",
        f"callers: {{fingerprint_key={SECRET}}}",
        f"callers: {{fingerprint_keys: {SECRET}}}",
        f"callers: {{fingerprint_key: {SECRET}, fingerprint_key: {SECRET}}}",
        f"callers:\n  log: x\n  fingerprint_key:{SECRET}\n",
        f"callers: {SECRET}",
        f"callers: [{SECRET}]",
        SECRET,
        f"upstream: {{url: 'https://user:{SECRET}@host'}}",
        f"upstream: {{url: 'ftp://user:{SECRET}@host'}}",
        f"upstream: {{url: 'https://user:{SECRET} @host'}}",
        f"upstream: {{url: 'https://user:#{SECRET}@host'}}",
        f"callers: {{fingerprint_key: {SECRET}}}\nlisten: nowhere",
    ],
)
def test_no_message_quotes_a_secret(problems: Problems, text: str) -> None:
    assert SECRET not in "\n".join(problems(text))


def test_a_secret_that_is_too_short_is_not_quoted(problems: Problems) -> None:
    assert SECRET[:15] not in one(problems(lines("callers.fingerprint_key", SECRET[:15])))


@pytest.mark.parametrize("before", ["*", "!", "'", "[", "@", "x: ", "!!int "])
def test_no_message_quotes_a_secret_from_the_environment(problems: Problems, before: str) -> None:
    for file in ("", f"callers: {{fingerprint_key: {'x' * 16}}}"):
        found = problems(file, {"TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY": before + SECRET})
        assert SECRET not in "\n".join(found)


def test_what_is_rendered_masks_the_secret_and_the_mask_is_not_taken_for_one(load: Load, problems: Problems) -> None:
    read = load(lines("callers.fingerprint_key", SECRET))

    text = config.render(read)

    assert SECRET not in text
    assert yaml.safe_load(text)["callers"]["fingerprint_key"] == sections.MASK
    assert one(problems(text)).startswith("callers.fingerprint_key: ")
    assert load(text, {"TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY": SECRET}) == read


# --- what is written


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, text, _ in READ if key != "callers.fingerprint_key"])
def test_what_is_rendered_reads_back_to_the_same(load: Load, key: str, text: str) -> None:
    read = load(lines(key, text))

    assert load(config.render(read)) == read


def keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


def test_the_shipped_file_has_every_key_with_its_default() -> None:
    shipped = set(keys(yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))))

    assert shipped == set(keys(yaml.safe_load(config.render(Config()))))
    assert config.load(str(SHIPPED), {}) == Config()


def test_the_designed_file_is_read_as_the_defaults(load: Load) -> None:
    assert load(DESIGNED) == Config(lifecycle=Config().lifecycle._replace(documentation="https://example.org/x"))


# --- whatever comes

ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
    lambda d: timezone(timedelta(minutes=d.seconds // 60))
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**308)
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | ZONES)
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | SCALARS, inner), max_leaves=9)
PLAUSIBLE = st.sampled_from(sorted({text for _, text, _ in READ})).map(yaml.safe_load)
KNOWN = [key for key in keys(yaml.safe_load(config.render(Config()))) if key != "tls"] + ["tls.certificate", "tls.key"]
TOKENS = st.sampled_from(
    [
        *"ab019-~'\",.?|>[]{}#%@`\\<=\n\0\t\x85\u2028é",
        *("  ", ": ", "- ", "\n  ", "---\n", "&a ", "*a", "<<: ", "!x ", "!!int ", "!!float ", "!!bool ", "!!set "),
        *("!!omap ", "!!pairs ", "!!map ", "!!seq ", "!!str ", "!!null ", "!!binary ", "!!timestamp ", "0x_", "1:20.5"),
        *("listen: ", "upstream: ", "timeout: ", "callers: ", "2026-02-30", "1e999", ".inf", "%YAML 1.1\n"),
    ]
)


def read_or_refused(file: Path, text: str, environment: dict[str, str]) -> None:
    file.write_text(text, encoding="utf-8")
    try:
        config.load(str(file), environment)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert len(problem.splitlines()) == 1
            assert ": " in problem
            assert "; " in problem or "must be true or false" in problem


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.yaml"


@settings(deadline=None, max_examples=80)
@given(TREES)
@example({"upstream": {"timeout": 10**400}})
@example({"upstream\n": {"timeout": 1}})
def test_any_yaml_is_read_or_refused_in_sentences(scratch: Path, tree: Any) -> None:
    read_or_refused(scratch, yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), {})


@settings(deadline=None, max_examples=80)
@given(st.dictionaries(st.sampled_from(KNOWN), TREES | PLAUSIBLE, min_size=1, max_size=4))
def test_any_value_under_a_known_key_is_read_or_refused_in_sentences(scratch: Path, values: dict[str, Any]) -> None:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        section, _, inner = key.partition(".")
        if not inner:
            nested[section] = value
        elif isinstance(nested.setdefault(section, {}), dict):
            nested[section][inner] = value
    read_or_refused(scratch, yaml.safe_dump(nested), {})


@settings(deadline=None, max_examples=150)
@given(st.lists(TOKENS, max_size=12).map("".join), st.sampled_from(KNOWN))
def test_any_text_is_read_or_refused_in_sentences(scratch: Path, text: str, key: str) -> None:
    read_or_refused(scratch, text, {})
    read_or_refused(scratch, "", {variable(key): text})


def test_known_callers_become_rules(load: Load) -> None:
    text = """
callers:
  header: X-Caller
  known:
    - {name: nightly, owner: team-a, contact: a@example.org, token: b7a07c479d15, repository: acme/*}
    - {name: mobile, token: ["0123456789ab", "ba9876543210"], agent: [legacy-ci/*, curl*], network: 10.0.0.0/8}
"""
    callers = load(text).callers
    assert callers.header == "X-Caller"
    assert list(callers.known) == [
        Rule("nightly", "team-a", "a@example.org", tokens=("b7a07c479d15",), repositories=("acme/*",)),
        Rule(
            "mobile",
            tokens=("0123456789ab", "ba9876543210"),
            agents=("legacy-ci/*", "curl*"),
            networks=(ipaddress.ip_network("10.0.0.0/8"),),
        ),
    ]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{agent: x}", "callers.known[0].name: missing"),
        ("{name: x}", "callers.known[0]: matches every call"),
        ("{name: x, owner: 5, agent: x}", "callers.known[0].owner: 5 is not a valid name"),
        ("{name: x, agnt: x, agent: y}", "callers.known[0].agnt: unknown key; did you mean callers.known[0].agent?"),
        ("{name: x, network: 10.0.0.1/8}", "callers.known[0].network: '10.0.0.1/8' is not a valid network"),
        ("x", "callers.known[0]: is a string; write its keys: name, owner"),
    ],
)
def test_a_known_caller_that_cannot_be_used_is_refused_by_its_place(
    problems: Problems, rule: str, problem: str
) -> None:
    assert any(found.startswith(problem) for found in problems(f"callers: {{known: [{rule}]}}"))


def test_a_token_that_stands_for_its_fingerprint_is_not_shown(problems: Problems) -> None:
    found = one(problems("callers: {known: [{name: x, token: y0_secret-token}]}"))
    assert "trigger-shim fingerprint" in found
    assert "secret" not in found


PLAN = """
lifecycle:
  deprecated: 2025-12-01
  sunset: 2027-01-01T12:00:00+03:00
  freeze: 2026-11-01
  brownouts:
    - {from: 2026-12-01T10:00:00Z, to: 2026-12-01T10:10:00Z, callers: [nightly, team-a], except: month-end}
    - {cron: "0 12 * * MON", duration: 600, time_zone: Europe/Berlin}
callers:
  known:
    - {name: moved, agent: x, migrated: 2026-11-01}
    - {name: late, agent: y, extension: 2027-06-01, exempt_from_freeze: true}
"""


def test_a_plan_becomes_a_policy(load: Load) -> None:
    settings = load(PLAN)
    window = Window(datetime(2026, 12, 1, 10, tzinfo=UTC), datetime(2026, 12, 1, 10, 10, tzinfo=UTC))

    assert settings.lifecycle == Policy(
        datetime(2025, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, 9, tzinfo=UTC),
        Config().lifecycle.documentation,
        (
            Brownout(Once(window), ("nightly", "team-a"), ("month-end",)),
            Brownout(Recurring("0 12 * * MON", timedelta(minutes=10), ZoneInfo("Europe/Berlin"))),
        ),
        datetime(2026, 11, 1, tzinfo=UTC),
    )
    moved, late = settings.callers.known
    assert (moved.migrated, moved.extension, moved.exempt_from_freeze) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        None,
        False,
    )
    assert (late.migrated, late.extension, late.exempt_from_freeze) == (None, datetime(2027, 6, 1, tzinfo=UTC), True)


def test_a_plan_that_is_printed_is_read_again(load: Load) -> None:
    assert load(config.render(load(PLAN))) == load(PLAN)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ("brownouts: [{}]", "brownouts[0]: write from and to, or cron and duration"),
        ("brownouts: [{from: 2026-12-01}]", "brownouts[0]: write from and to, or cron and duration"),
        ("brownouts: [{cron: 0 12 * * *}]", "brownouts[0]: write from and to, or cron and duration"),
        (
            "brownouts: [{from: 2026-12-01, to: 2026-12-02, duration: 60}]",
            "brownouts[0]: write from and to, or cron and duration",
        ),
        (
            "brownouts: [{from: 2026-12-01, to: 2026-12-01}]",
            "brownouts[0]: to is not after from; change one of them",
        ),
        (
            "brownouts: [{cron: 0 25 * * *, duration: 60}]",
            "brownouts[0].cron: '0 25 * * *' is not a valid cron expression",
        ),
        (
            "brownouts: [{cron: 0 0 30 2 *, duration: 60}]",
            "brownouts[0].cron: '0 0 30 2 *' is not a valid cron expression",
        ),
        ("brownouts: [{time_zone: Mars/Olympus}]", "brownouts[0].time_zone: 'Mars/Olympus' is not a valid time zone"),
        (
            "brownouts: [{time_zone: ../etc/passwd}]",
            "brownouts[0].time_zone: '../etc/passwd' is not a valid time zone",
        ),
        (
            "brownouts: [{form: 2026-12-01}]",
            "brownouts[0].form: unknown key; did you mean lifecycle.brownouts[0]",
        ),
        ("brownouts: [{except_: x}]", "brownouts[0].except_: unknown key"),
        ("brownouts: {from: x}", "brownouts: is a mapping; write a list"),
        ("brownouts: [x]", "brownouts[0]: is a string; write its keys: from, to, cron"),
        ("freeze: soon", "freeze: 'soon' is not a valid date"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused_by_its_place(problems: Problems, plan: str, problem: str) -> None:
    found = problems(f"lifecycle: {{{plan}}}")
    assert any(line.startswith(f"lifecycle.{problem}") for line in found), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "lifecycle: {sunset: 2027-01-01}\ncallers: {known: [{name: x, agent: x, extension: 2027-01-01}]}",
            "callers.known[0].extension: is not after lifecycle.sunset; change one of them",
        ),
        (
            "callers: {known: [{name: x, agent: x, migrated: 2027-01-01, extension: 2027-01-01}]}",
            "callers.known[0].extension: cannot be combined with migrated; remove one of them",
        ),
        (
            "lifecycle: {freeze: 2026-01-01}\ncallers: {log: '-'}",
            "lifecycle.freeze: needs a caller log to tell who is new; set callers.log to a file, not '-'",
        ),
        (
            "callers: {known: [{name: x, agent: x, exempt_from_freeze: yep}]}",
            "callers.known[0].exempt_from_freeze: must be true or false, not 'yep'",
        ),
    ],
)
def test_dates_of_callers_that_contradict_the_plan_are_refused(problems: Problems, text: str, problem: str) -> None:
    assert one(problems(text)).startswith(problem)
