import pytest

from proxy.calls import reader
from proxy.calls.call import NotRead
from proxy.calls.reader import Kind
from tests.calls.reading import URL


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("curl x", "", Kind.SHELL),
        ("\n  curl x", "", Kind.SHELL),
        ("curl.exe x", "", Kind.SHELL),
        ("curl x ^\n -d a", "", Kind.CMD),
        ("http POST x", "", Kind.SHELL),
        ("echo a | http x", "", Kind.SHELL),
        ("a: curl x", "", Kind.YAML),
        ("- curl x", "", Kind.YAML),
        ("# a\njob:\n  - curl x", "", Kind.YAML),
        ("requests.post(x)  # not curl", "", Kind.PYTHON),
        ("session.post(x)", "", Kind.PYTHON),
        ("fetch(x)", "", Kind.JAVASCRIPT),
        ("Invoke-RestMethod x", "", Kind.POWERSHELL),
        ("irm -Uri x", "", Kind.POWERSHELL),
        ("#!/bin/sh\npython -c 'requests.post(x)'", "", Kind.SHELL),
        ("#!/usr/bin/env python3\nsubprocess.run(['curl'])", "", Kind.PYTHON),
        ("#!/usr/bin/env node\n", "", Kind.JAVASCRIPT),
        ("#!/usr/bin/pwsh\n", "", Kind.POWERSHELL),
        ("", "a/b.sh", Kind.SHELL),
        ("", "a.PY", Kind.PYTHON),
        ("", "a.yml", Kind.YAML),
        ("", "a.bat", Kind.CMD),
        ("", "a.ps1", Kind.POWERSHELL),
        ("", "a.ts", Kind.JAVASCRIPT),
        ("", "a/Jenkinsfile", Kind.GROOVY),
        ("curl x", "a.tf", None),
        ("sh 'curl x'", "", Kind.GROOVY),
        ("sh -c 'curl x'", "", Kind.SHELL),
        ("got.post(x)", "", Kind.JAVASCRIPT),
        ("curl -Method POST -Uri x", "", Kind.POWERSHELL),
        ("hello", "", None),
        ("curly wgets libcurl", "", None),
        ("Net::HTTP.post(x)", "", None),
    ],
)
def test_a_text_is_known_by_its_name_its_first_line_or_its_first_call(text: str, name: str, kind: Kind | None) -> None:
    assert reader.kind_of(text, name) is kind


@pytest.mark.parametrize(
    ("text", "is_body"),
    [
        ("", True),
        ("  \n", True),
        ("{}", True),
        ('{"revision": "curl x"}', True),
        ("{", True),
        ("[]", True),
        ('"a"', True),
        ("{ revision: main }", True),
        ("{ curl x; }", False),
        ("[ -f x ] && curl x", False),
        ("curl x", False),
        ("hello", False),
    ],
)
def test_a_body_is_known_by_its_first_characters(text: str, is_body: bool) -> None:
    assert reader.is_body(text) is is_body


def test_a_line_of_yaml_that_is_none_by_itself_is_read_as_a_command() -> None:
    text = f"- curl {URL} -H 'A: b'"
    assert reader.read(text).kind is Kind.SHELL
    assert reader.read(text, "a.yml").kind is Kind.SHELL
    with pytest.raises(NotRead, match="taken for YAML, and not read: line 1: "):
        reader.read("a: [b", "a.yml")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('http.NewRequest("POST", url)', "Go"),
        ("curl_setopt($c)", "PHP"),
        ("Net::HTTP.post(a)", "Ruby"),
        ("HttpRequest.newBuilder(a)", "Java"),
        ("fun main() { client.post(url) }", "Kotlin"),
        ("http.post(Uri.parse(url))", "Dart"),
        ("LWP::UserAgent->new", "Perl"),
        ("new HttpClient()", "C#"),
        ("httpRequest url: a", "Groovy"),
        ("reqwest::Client::new()", "Rust"),
    ],
)
def test_a_language_that_cannot_be_read_is_named(text: str, language: str) -> None:
    with pytest.raises(NotRead, match=f"^taken for {language}, which cannot be read"):
        reader.read(text)


def test_a_language_is_known_by_the_name_of_a_file() -> None:
    with pytest.raises(NotRead, match=r"^taken for Terraform, which cannot be read"):
        reader.read("curl x", "a.tf")
