from pathlib import Path

import pytest

from proxy import config
from proxy.config import Config, ConfigError
from proxy.config.values import Address
from tests.config.loading import Load, Problems, at, one


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


def test_a_tab_and_an_asterisk_get_their_remedy(problems: Problems) -> None:
    assert one(problems("upstream:\n\ttimeout: 5")).endswith(
        "line 2: found character '…' that cannot start any token; write spaces instead of the tab"
    )
    for text in ("callers:\n  known:\n  - {name: a, agent: *}", "callers:\n  known:\n  - name: a\n    agent: *\n"):
        assert one(problems(text)).endswith('; write a value that begins with * in quotes, such as "*"')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("listen: x", 1),
        ("admin: null\nupstream:\n  timeout: 0\n", 3),
        ("upstream: {timeout: 5,\n url: x}", 2),
        ("callers:\n  known:\n  - name: a\n    agent: x\n  - name: b\n    agent: y\n    agnt: z\n", 7),
        ("callers:\n  known:\n  - {name: a}\n", 3),
        ("callers:\n  trusted_proxies: [10.0.0.0/8, x]\n", 2),
        ("limits: {}\nlifecycle:\n  sunset: 2020-01-01\n", 3),
    ],
)
def test_a_problem_of_a_key_has_its_line(problems: Problems, tmp_path: Path, text: str, line: int) -> None:
    assert one(problems(text)).endswith(f" ({tmp_path / 'config.yaml'} line {line})")


def test_a_problem_of_a_value_from_elsewhere_has_the_variable_or_nothing(problems: Problems) -> None:
    file = "listen: 127.0.0.1:1\nupstream: {timeout: 5}"
    assert one(problems(file, {"TRIGGER_SHIM__UPSTREAM__TIMEOUT": "0"})).endswith(" (TRIGGER_SHIM__UPSTREAM__TIMEOUT)")
    assert one(problems(file, {"TRIGGER_SHIM__LISTN": "x"})).endswith(" (TRIGGER_SHIM__LISTN)")
    assert one(problems(file, {"TRIGGER_SHIM__LISTEN": "x"}, {"listen": "x"})).endswith("unix:/PATH")
    assert one(problems(f"{file}\nadmin: x", {"TRIGGER_SHIM__LISTEN": "[::]:1"})).endswith(" line 3)")


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
    kubernetes = {"TRIGGER_SHIM_PORT": "tcp://10.0.0.1:80", "TRIGGER_SHIM_SERVICE_HOST": "10.0.0.1"}
    others = {"LISTEN": "x", "TRIGGER_SHIM": "x", "X_TRIGGER_SHIM__LISTEN": "[", **kubernetes}

    assert load("", others) == Config()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("TRIGGER_SHIM__LISTNE", "listne"),
        ("TRIGGER_SHIM__UPSTREAM__URI", "upstream.uri"),
        ("TRIGGER_SHIM__UPSTREAM__URL__HOST", "upstream.url"),
        ("TRIGGER_SHIM__LISTEN__PORT", "listen"),
        ("TRIGGER_SHIM__", ""),
        ("TRIGGER_SHIM____URL", ""),
    ],
)
def test_a_variable_for_no_known_key_is_refused(problems: Problems, name: str, key: str) -> None:
    assert one(problems("", {name: "x"})).startswith(f"{key}: ")
    assert problems("listen: 127.0.0.1:1\nupstream: {url: https://file.example}", {name: "x"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TRIGGER_SHIM_LISTEN", "LISTEN"),
        ("TRIGGER_SHIM_UPSTREAM_URL", "UPSTREAM__URL"),
        ("TRIGGER_SHIM_UPSTREAM__URL", "UPSTREAM__URL"),
        ("TRIGGER_SHIM__UPSTREAM_URL", "UPSTREAM__URL"),
        ("TRIGGER_SHIM___UPSTREAM__URL", "UPSTREAM__URL"),
        ("TRIGGER_SHIM_CALLERS__TRUSTED__PROXIES", "CALLERS__TRUSTED_PROXIES"),
    ],
)
def test_a_variable_with_an_underscore_too_few_or_too_many_is_named(problems: Problems, name: str, meant: str) -> None:
    assert one(problems("", {name: "x"})) == f"{name}: unknown variable; did you mean TRIGGER_SHIM__{meant}?"


@pytest.mark.parametrize("text", ["[", "'", "{a: 1, a: 2}", "*x", "!x y", "[" * 500, "\0", "\udcff", "!!int x"])
def test_a_variable_that_is_not_yaml_is_named(problems: Problems, text: str) -> None:
    found = one(problems("", {"TRIGGER_SHIM__WORKERS": text}))

    assert found.startswith("TRIGGER_SHIM__WORKERS: ")
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
