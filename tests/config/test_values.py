import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy import config
from tests.config.loading import READ, SECRET, Load, Problems, at, lines, one, variable


@pytest.mark.parametrize(("key", "text", "expected"), READ)
def test_a_sound_value_is_read(load: Load, key: str, text: str, expected: object) -> None:
    assert at(load(lines(key, text)), key) == expected


@pytest.mark.parametrize(("key", "text", "expected"), READ)
def test_an_environment_variable_is_read_as_the_same_yaml(load: Load, key: str, text: str, expected: object) -> None:
    assert at(load("", {variable(key): text}), key) == expected


def test_a_date_is_in_utc_wherever_the_machine_stands(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-9")
        time.tzset()
        read = load("lifecycle: {deprecated: 2026-01-01}").lifecycle
    time.tzset()

    assert read.deprecated == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "text", "remedy"),
    [
        ("lifecycle.sunset", "2026-01-01 12:00:00", "such as 2026-01-01 12:00:00Z for UTC"),
        ("lifecycle.sunset", "2026-01-01T12:00", "such as 2026-01-01T12:00Z for UTC"),
        ("listen", "127.0.0.1:80800", "write a port from 0 to 65535"),
        ("listen", "unix:run/socket", "write one such as unix:/run/trigger-shim.sock"),
        ("listen", "unix:/run/", "write one such as unix:/run/trigger-shim.sock"),
        ("listen", '"unix:/run/a\\0b"', "write one such as unix:/run/trigger-shim.sock"),
        ("listen", f"unix:/{'x' * 107}", "write a path of at most 107 bytes"),
        ("admin", f"unix:/{'ж' * 54}", "write a path of at most 107 bytes"),
        ("callers.trusted_proxies", "10.1.2.3/8", "write 10.0.0.0/8, or one address"),
        ("callers.trusted_proxies", "[2001:db8::1/32]", "write 2001:db8::/32, or one address"),
    ],
)
def test_a_value_that_is_nearly_right_gets_its_remedy(problems: Problems, key: str, text: str, remedy: str) -> None:
    assert one(problems(lines(key, text))).endswith(remedy) or remedy in one(problems(lines(key, text)))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("callers.log", "-"),
        ("callers.log", "/var/log/a #b: c"),
        ("callers.fingerprint_key", "a secret # with: {odd} signs"),
        ("callers.fingerprint_key", "1234567890123456"),
        ("callers.fingerprint_key", "*begins like an alias"),
        ("callers.header", "true"),
        ("ledger", "postgresql://a:b@h/d?x=#y"),
    ],
)
def test_text_in_the_environment_is_taken_as_it_is(load: Load, key: str, text: str) -> None:
    assert at(load("", {variable(key): f" {text}\n"}), key) == text


@pytest.mark.parametrize("text", ["", "null", "~"])
def test_nothing_in_the_environment_is_null(load: Load, text: str) -> None:
    read = load("callers: {header: X-Caller}", {variable("callers.header"): text})
    assert read.callers.header is None


def test_a_secret_may_be_in_a_file(load: Load, problems: Problems, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    assert load("callers: {fingerprint_key_file: key}").callers.fingerprint_key == SECRET
    assert load("", {"TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY_FILE": str(file)}).callers.fingerprint_key == SECRET

    file.write_text("short")
    found = one(problems("callers: {fingerprint_key_file: key}"))
    assert found.startswith("callers.fingerprint_key_file: it is not a valid secret")
    assert "short" not in found


def test_a_relative_path_counts_from_the_file_that_it_stands_in(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pem").touch()
    monkeypatch.chdir("/")
    files = "callers: {log: logs/a.jsonl}\nledger: a.db\ntls: {certificate: a.pem, key: ./a.pem}"
    read = load(files)
    assert (read.callers.log, read.ledger) == (str(tmp_path / "logs/a.jsonl"), str(tmp_path / "a.db"))
    assert read.tls == config.Tls(str(tmp_path / "a.pem"), str(tmp_path / "a.pem"))
    assert load("letters: {template: a.jinja}").letters.template == str(tmp_path / "a.jinja")
    assert load("callers: {log: '-'}\nledger: postgresql://h/d").callers.log == "-"
    assert load("callers: {log: /var/a}", {variable("ledger"): "b.db"}).ledger == "b.db"
    load(files)
    monkeypatch.chdir(tmp_path)
    assert config.load(None, {}).callers.log == "logs/a.jsonl"


REFUSED = {
    ("listen", "HOST:PORT"): [
        *["8080", ":8080", "localhost", "'localhost:'", "localhost:http", "localhost:-1"],
        *['"::1:8080"', '"[::1]"', '"[]:80"', '"a b:80"', '"localhost:80 "', "null", "true", "[a]", "{}"],
    ],
    ("admin", "HOST:PORT"): ["9901", "false", '""'],
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
    ("upstream.proxy", "http://HOST:PORT"): [
        *["3128", "egress.example:3128", "https://egress.example:3128", "http://egress.example", "http://:3128"],
        *["http://egress.example:0", "http://egress.example:65536", "http://egress.example:3128/x", "socks5://h:1080"],
        *[
            "http://egress.example:3128?x",
            '"http://egress.example:3128/#"',
            '"http://a b:1"',
            '"http://a:1\\n"',
            "true",
        ],
    ],
    ("upstream.authorities", "existing file"): ["nowhere.pem", "5", '""', "/"],
    ("upstream.certificate", "existing file"): ["nowhere.pem", "[a]"],
    ("upstream.key", "existing file"): ["nowhere.pem"],
    ("upstream.proxy_credentials_file", "existing file"): ["nowhere"],
    ("lifecycle.successor_url", "https://HOST"): ["api.example", "ftp://api.example", "5"],
    ("letters.template", "write a path"): ["5", '""', "[a]", "true"],
    ("letters.sender", "128 printable characters"): ['"a\\nb"', '""', "5"],
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
    ("log.format", "auto, console or json"): ["null", '""', "JSON", "logfmt", "true", "[json]"],
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
    if not re.match(r'[\d.]+$|true|false|null|[\[{]|.*\\|""$', text):  # in a variable, all of this is text
        assert one(problems("", {variable(key): text})) == f"{found.rpartition(' (')[0]} ({variable(key)})"


@pytest.mark.parametrize(
    "url", ["https://user@api.example", "https://user:password@api.example", "https://:@api.example", "http://@host"]
)
def test_credentials_in_the_upstream_url_are_refused(problems: Problems, url: str) -> None:
    found = one(problems(lines("upstream.url", url)))

    assert found.startswith("upstream.url: ")
    assert "remove them" in found


@pytest.mark.parametrize("url", ["http://user@egress:1", "http://user:password@egress:1", "//user:password@egress:1"])
def test_credentials_in_the_url_of_the_egress_proxy_are_refused_and_not_shown(problems: Problems, url: str) -> None:
    found = one(problems(lines("upstream.proxy", url)))

    assert found.startswith("upstream.proxy: it contains credentials; write them into the file ")
    assert "password" not in found


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
        assert "existing file" in found


def test_tls_without_one_of_its_files_names_the_missing_one(problems: Problems, tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()

    assert one(problems(f"tls: {{certificate: {pem}}}")).startswith("tls.key: ")
    assert one(problems(f"tls: {{key: {pem}}}")).startswith("tls.certificate: ")
    assert [found.partition(": ")[0] for found in problems("tls: {}")] == ["tls.certificate", "tls.key"]
