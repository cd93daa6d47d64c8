"""Commands with curl, wherever they stand: variables stay variables, and quotes are those of the place."""

import pytest
import yaml

from tests.scan.fix.planning import JSON, NEW, OLD, changed, refused

BODY = '{"workflows":[{"name":"build"}],"head":{"branch":"main"}}'
AUTH = '-H "Authorization: Bearer $TOKEN"'
CALL = f'curl -X POST {OLD} {AUTH} -d \'{{"revision": "main"}}\''
NEW_CALL = f"curl -X POST {NEW} {AUTH} {JSON} -d '{BODY}'"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.sh", "#!/bin/sh\nset -e\nif true; then CALL; fi\n"),
        ("a.sh", "CALL"),
        ("a.sh", "sudo -E CALL >/dev/null 2>&1 &&\\\n  echo\r\n"),
        ("Makefile", "run:\n\t@echo 1\n\t@CALL\n\t-@$(MAKE) x\n"),
        ("Dockerfile", "FROM a\nRUN --mount=type=secret,id=t true \\\n && CALL \\\n && rm -rf /x\n"),
        (".gitlab-ci.yml", "a:\n  script:\n    - |\n      x=1\n      CALL\n    - b\n"),
        (".github/workflows/a.yml", "jobs:\n  a:\n    steps:\n      - run: |\n          CALL\n        env: {A: 1}\n"),
        ("Jenkinsfile", "pipeline { steps { sh '''\n  CALL\n''' } }"),
    ],
)
def test_a_call_is_changed_where_it_stands_and_nothing_else_is(file: str, text: str) -> None:
    assert changed(text.replace("CALL", CALL), file) == text.replace("CALL", NEW_CALL)


def test_a_call_over_several_lines_stays_one_with_its_indentation_and_line_ends() -> None:
    text = f"x:\r\n\tcurl -sf -X POST {OLD} \\\r\n\t\t-d '{{}}'\r\n"
    new = f"""\\\r\n\t\t{JSON} \\\r\n\t\t-d '{{"workflows":[{{"name":"build"}}]}}'\r\n"""
    assert changed(text, "Makefile") == f"x:\r\n\tcurl -s -f -X POST {NEW} {new}"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("a.sh", "\"$API/acme/$REPO/ci_workflows/$WF/trigger\"", '"$API/repos/acme/$REPO/cicd/runs"'),
        ("Makefile", "$(API)/acme/$$REPO/ci_workflows/$(WF)/trigger", '"$(API)/repos/acme/$$REPO/cicd/runs"'),
        ("a.yml", "\"${{ env.API }}/${{ x }}/y/ci_workflows/z/trigger\"", '"${{ env.API }}/repos/${{ x }}/y/cicd/runs"'),
        ("a.sh", "$API/$GITHUB_REPOSITORY/ci_workflows/z/trigger", '"$API/repos/$GITHUB_REPOSITORY/cicd/runs"'),
        ("a.yml", "'https://api.sourcecraft.tech/{{ o }}/y/ci_workflows/z/trigger'",
         "'https://api.sourcecraft.tech/repos/{{ o }}/y/cicd/runs'"),
    ],
)  # fmt: skip
def test_variables_stay_variables(file: str, old: str, new: str) -> None:
    head = "- run: |\n    " if file == "a.yml" else "x:\n\t" if file == "Makefile" else ""
    written = changed(f"{head}curl -X POST {old}\n", file)
    assert written.startswith(f"{head}curl -X POST {new} {JSON} -d ")


@pytest.mark.parametrize(
    "scalar",
    ["CALL", "'CALL'", '"CALL"', ">\n    CALL", ">-\n    set -e;\n    CALL\n    || exit 1\n", "x=1 CALL && it is"],
)
def test_each_scalar_of_yaml_still_holds_the_command(scalar: str) -> None:
    style = scalar[0]
    command = CALL.replace(f"{AUTH} ", "").replace(": ", ":")
    new = NEW_CALL.replace(f"{AUTH} ", "")
    quoted = command.replace("'", "''") if style == "'" else command.replace('"', '\\"') if style == '"' else command
    text = f"a: 1\nrun: {scalar.replace('CALL', quoted)}\nb: [1]\n"
    before, after = yaml.safe_load(text), yaml.safe_load(changed(text, "a.yml"))
    assert after == {**before, "run": before["run"].replace(command, new)}


def test_calls_in_scalars_of_several_lines_are_written_in_one() -> None:
    text = f"- >\n  curl -X POST\n  {OLD}\n  -d '{{}}'\n  && echo\n- curl -X POST\n  {OLD}\n"
    calls = yaml.safe_load(changed(text, "a.yml"))
    new = f"""curl -X POST {NEW} {JSON} -d '{{"workflows":[{{"name":"build"}}]}}'"""
    assert calls == [f"{new} && echo\n", new]


def test_groovy_and_the_shell_each_keep_their_dollars() -> None:
    old = rf"""sh "curl -X POST {OLD} -H \"A: \$TOKEN\" -d '{{\"revision\": \"${{params.BRANCH}}\"}}'" """
    body = rf"""'{BODY.replace('"', chr(92) + '"').replace("main", "${params.BRANCH}")}'"""
    assert changed(old, "Jenkinsfile") == rf"""sh "curl -X POST {NEW} -H \"A: \$TOKEN\" {JSON} -d {body}" """


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"U={OLD}\ncurl -X POST $U -d '{{}}'", "the call in line 2 takes it from here: change both by hand"),
        (f"W=a%2Fb\ncurl {OLD.replace('build', '$W')} -d '{{}}'",
         "the name of the workflow is encoded for a path, as it must not be in a body"),
        (f"curl {OLD.replace('build', '${W// /%20}')} -d '{{}}'",
         "the name of the workflow is encoded for a path, as it must not be in a body"),
        (f"curl {OLD} -d @- <<E\n{{}}\nE\n", "the text after <<: the call takes it from another place in the file"),
        (f"B='{{}}'\ncurl {OLD} -d \"$B\"", "$B: the call takes it from another place in the file"),
        (f"curl {OLD} -d @body.json", "its body is in the file body.json: translate that file with --path"),
        (f"wget {OLD} --post-data '{{}}'", "only calls with curl are changed, and this is one with wget"),
        (f"curl {OLD} >/dev/null -d '{{}}'", "something other than its arguments stands between them, such as a redirection"),
        (f"curl {OLD}\n  -d '{{}}'", "a \\ is missing at the end of line 1, and was read as if it stood there"),
        (f"curl {OLD} -d 'a'", "The body is not JSON: JSON is malformed: invalid character (byte 0)."),
        (f"curl {OLD} -d '{{}}' 'b", "taken for shell commands, and not read: a ' is never closed"),
        (f"curl {OLD.replace('build', '$(encode $X)')} -d '{{}}'",
         "the name of the workflow is encoded for a path, as it must not be in a body"),
        (f"curl {OLD.replace('build', '$X')} -d '{{\"revision\": \"branch-$(Y)\"}}'",
         "a variable in single quotes would come to stand between double quotes"),
    ],
)  # fmt: skip
def test_what_is_not_safe_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert changed(text, "a.sh", unsafe=True) == text
    assert refused(text, "a.sh", unsafe=True) == [reason]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"a: \"\\x41=1; {CALL.replace(chr(34), chr(92) + chr(34))}\"\n",
         "it is in a string with escapes that cannot be written again safely"),
        (f"- run: |\n    curl -X POST '{OLD.replace('acme', chr(123) * 2 + ' a.get(' + chr(34) + 'x' + chr(34) + ') }}')}'\n",
         "a template in it has quotes"),
    ],
)  # fmt: skip
def test_so_is_what_is_not_safe_in_yaml(text: str, reason: str) -> None:
    assert changed(text, "a.yml", unsafe=True) == text
    assert refused(text, "a.yml", unsafe=True) == [reason]


def test_a_variable_that_groovy_and_the_shell_both_have_is_refused() -> None:
    text = rf"""sh "curl -X POST {OLD} -H \"A: \$B\" -H \"C: $B\" -d '{{}}'" """
    assert changed(text, "Jenkinsfile", unsafe=True) == text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.sh", f'curl {OLD} -d "{{\\"revision\\": \\"$X\\"}}"\n'),
        ("Makefile", f'x:\n\tcurl {OLD} -d \'{{"revision": "$(X)"}}\'\n'),
    ],
)
def test_a_revision_that_may_be_of_any_kind_needs_a_look(file: str, text: str) -> None:
    (reason,) = refused(text, file)
    assert reason.startswith("only with --unsafe: $")
    assert reason.endswith(": taken for a branch; it may hold tags:NAME or a commit")
    assert NEW in changed(text, file, unsafe=True)
