from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy import config
from proxy.config import Config, ConfigError
from tests.config.loading import READ, SECRET, Load, Problems, keys, lines, one, variable
from tests.support.examples import examples
from tests.support.paths import ROOT
from tests.support.users import open_to_all, unprivileged

SHIPPED = ROOT / "config.yaml"


DESIGNED = """
listen: 127.0.0.1:8080          # legacy tooling points here
admin: 127.0.0.1:9901           # health, metrics, the callers page; null switches it off
workers: 1
upstream:  {url: https://api.sourcecraft.tech, connect_timeout: 5, timeout: 60, keepalive: 5, max_connections: 512,
            proxy: null, proxy_credentials_file: null, authorities: null, certificate: null, key: null}
limits:    {body: 1MiB, buffered: 64MiB, in_flight: 1024, drain_delay: 0, drain: 30, retry_window: 60}
lifecycle: {deprecated: 2025-12-01, sunset: null, documentation: https://example.org/x, brownouts: [], freeze: null}
callers:   {log: logs/callers.jsonl, heartbeat: 300, trusted_proxies: [127.0.0.0/8, "::1/128"], header: null,
            fingerprint_key: null, known: [], gone: []}
tls: null                       # or {certificate: FILE, key: FILE}
"""


# --- contradictions

SOUND = [
    "listen: 127.0.0.1:9901\nadmin: null",
    "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0",
    "listen: unix:/a\nadmin: unix:/b",
    "listen: unix:/a\ncallers: {proxy_protocol: true, trusted_proxies: []}",
    "upstream: {connect_timeout: 59.9}",
    "upstream: {connect_timeout: 0.1, timeout: 0.2}",
    "lifecycle: {deprecated: 2026-01-01, sunset: 2026-01-01}",
    "lifecycle: {deprecated: 2026-01-01T03:00:00+03:00, sunset: 2026-01-01T00:00:00Z}",
    "lifecycle: {deprecated: null, sunset: 2001-01-01}",
    "upstream: {proxy: http://egress:3128, proxy_credentials_file: config.yaml}",
    "upstream: {authorities: config.yaml, certificate: config.yaml, key: config.yaml}",
    "upstream: {url: http://h, proxy: http://egress:3128}",
]


@pytest.mark.parametrize("text", SOUND)
def test_what_is_no_contradiction_is_read(load: Load, text: str) -> None:
    load(text)


@pytest.mark.parametrize(
    ("text", "key", "other"),
    [
        ("listen: 127.0.0.1:9901", "admin", "listen"),
        ("listen: 127.0.0.1:81\nadmin: 10.0.0.1:81", "admin", "listen"),
        ("listen: unix:/a\nadmin: unix:/a", "admin", "the same socket as listen"),
        ("callers: {proxy_protocol: true, trusted_proxies: []}", "callers.proxy_protocol", "callers.trusted_proxies"),
        ("upstream: {connect_timeout: 60}", "upstream.connect_timeout", "upstream.timeout"),
        ("upstream: {timeout: 5}", "upstream.connect_timeout", "upstream.timeout"),
        ("upstream: {timeout: 4.9}", "upstream.connect_timeout", "upstream.timeout"),
        ("upstream: {proxy_credentials_file: config.yaml}", "upstream.proxy_credentials_file", "upstream.proxy"),
        ("upstream: {certificate: config.yaml}", "upstream.key", "upstream.certificate"),
        ("upstream: {key: config.yaml}", "upstream.certificate", "upstream.key"),
        ("upstream: {url: http://h, authorities: config.yaml}", "upstream.authorities", "upstream.url"),
        (
            "upstream: {url: http://h, certificate: config.yaml, key: config.yaml}",
            "upstream.certificate",
            "upstream.url",
        ),
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
    for name in ("CALLERS", "CALLERS__FINGERPRINT_KEY__X", "CALLERS__KNOWN"):
        found = problems("", {f"TRIGGER_SHIM__{name}": before + SECRET})
        assert SECRET not in "\n".join(found)


def test_the_shipped_file_has_every_key_with_its_default() -> None:
    shipped = set(keys(yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))))

    assert shipped == set(keys(yaml.safe_load(config.render(Config()))))
    assert config.load(str(SHIPPED), {}) == Config()


def test_the_designed_file_is_read_as_the_defaults(load: Load) -> None:
    assert load(DESIGNED) == Config(lifecycle=Config().lifecycle._replace(documentation="https://example.org/x"))


# --- the ledger


@pytest.mark.parametrize(
    ("text", "ledger"),
    [
        ("", "logs/callers.db"),
        ("callers: {log: /var/log/shim/calls.jsonl}", "/var/log/shim/calls.db"),
        ("callers: {log: '-'}", "logs/callers.db"),
        ("callers: {log: /dev/stdout}", "logs/callers.db"),
        ("callers: {log: /var/log/shim/calls.jsonl}\nledger: here.db", "here.db"),
        ("callers: {log: /var/log/shim/calls.jsonl}\nledger: null", None),
    ],
)
def test_without_a_key_the_ledger_is_beside_the_log(load: Load, text: str, ledger: str | None) -> None:
    assert load(text).ledger == ledger


def test_the_address_of_the_ledger_may_be_in_a_file(load: Load, problems: Problems, tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text(f"postgresql://shim:{SECRET}@db/ledger\n")
    text = f"ledger_file: {file}"

    read = load(text)
    assert read.ledger == f"postgresql://shim:{SECRET}@db/ledger"
    assert SECRET not in config.render(read)
    assert load(f"{text}\nledger: null") == read
    file.write_bytes(b"\xff")
    assert one(problems(text)).startswith("ledger_file: ")


def test_a_key_that_this_user_may_not_read_is_a_problem_only_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all(tmp_path, monkeypatch)
    Path("key").write_text(SECRET)
    Path("key").chmod(0)
    Path("config.yaml").write_text("callers: {fingerprint_key_file: key}")
    with unprivileged():
        read = config.load("config.yaml", {}, needs_key=False)
        with pytest.raises(config.ConfigError, match="Permission denied"):
            config.load("config.yaml", {})
    assert read.callers.fingerprint_key is None


def test_a_ledger_file_that_this_user_may_not_read_is_a_problem_with_the_way_round_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all(tmp_path, monkeypatch)
    Path("ledger").touch(mode=0)
    Path("config.yaml").write_text("ledger_file: ledger")
    with unprivileged(), pytest.raises(config.ConfigError, match=r"Permission denied; .* with --ledger"):
        config.load("config.yaml", {}, needs_key=False)


def test_a_key_that_is_missing_is_a_problem_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("callers: {fingerprint_key_file: key}")
    with pytest.raises(config.ConfigError, match="is not a valid file"):
        config.load(str(tmp_path / "config.yaml"), {}, needs_key=False)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://shim:{SECRET}@db/ledger",
        f"postgresql://shim:a@{SECRET}@db/ledger",
        f"postgresql://db/ledger?user=shim&password={SECRET}&sslmode=require",
    ],
)
def test_the_password_of_the_ledger_is_never_shown(load: Load, problems: Problems, address: str) -> None:
    rendered = config.render(load(f"ledger: '{address}'"))

    assert SECRET not in rendered
    assert "db/ledger" in rendered
    assert SECRET not in one(problems(f"ledger: 'mysql{address}'"))
    assert SECRET not in one(problems(f"ledger: ['{address}']"))


def test_a_masked_password_is_not_taken_for_one(load: Load, problems: Problems) -> None:
    rendered = config.render(load(f"ledger: 'postgresql://shim:{SECRET}@db/ledger'"))

    assert one(problems(rendered)).startswith("ledger: ")


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


@settings(deadline=None, max_examples=examples(80))
@given(TREES)
@example({"upstream": {"timeout": 10**400}})
@example({"upstream\n": {"timeout": 1}})
def test_any_yaml_is_read_or_refused_in_sentences(scratch: Path, tree: Any) -> None:
    read_or_refused(scratch, yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), {})


@settings(deadline=None, max_examples=examples(80))
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


@settings(deadline=None, max_examples=examples(150))
@given(st.lists(TOKENS, max_size=12).map("".join), st.sampled_from(KNOWN))
def test_any_text_is_read_or_refused_in_sentences(scratch: Path, text: str, key: str) -> None:
    read_or_refused(scratch, text, {})
    read_or_refused(scratch, "", {variable(key): text})
