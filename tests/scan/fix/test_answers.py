"""What becomes of a call whose answer is read."""

import pytest

from tests.scan.fix.planning import JSON, NEW, OLD, changed, refused

CALL = f"curl -X POST {OLD} -d '{{}}'"
NEW_CALL = f"""curl -X POST {NEW} {JSON} -d '{{"workflows":[{{"name":"build"}}]}}'"""
STATUS = "trigger_status is read of its answer, and has no successor: status of the run tells how far it is"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RUN=$(CALL | jq -r .flux_public_id)\n", "RUN=$(CALL | jq -r .slug)\n"),
        ("RUN=$(CALL)\nID=$(echo \"$RUN\" | jq -r '.flux_id')\n", "RUN=$(CALL)\nID=$(echo \"$RUN\" | jq -r '.slug')\n"),
        ("CALL > a.json\njq '.[\"flux_public_id\"]' a.json", "CALL > a.json\njq '.[\"slug\"]' a.json"),
        ("CALL \\\n  | /usr/bin/jq \\\n  .flux_public_id", "CALL \\\n  | /usr/bin/jq \\\n  .slug"),
        ('CALL | grep -o \'"flux_public_id":"[^"]*"\'', 'CALL | grep -o \'"slug":"[^"]*"\''),
        ("id() { jq .flux_id; }\nCALL | id", "id() { jq .slug; }\nCALL | id"),
    ],
)
def test_what_jq_and_grep_read_is_changed_only_if_somebody_looks_at_it(old: str, new: str) -> None:
    old = old.replace("CALL", CALL)
    assert changed(old, "a.sh", unsafe=True) == new.replace("CALL", NEW_CALL)
    assert changed(old, "a.sh") == old
    assert all(reason.startswith("only with --unsafe: its answer is read") for reason in refused(old, "a.sh"))


def test_grep_may_find_more_than_the_slug_of_the_run() -> None:
    (reason, _) = refused(f"{CALL} | grep flux_public_id", "a.sh")
    assert reason.endswith("its answer is read with grep, and the new answer has more than one slug")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CALL | jq .trigger_status", STATUS),
        ("A=$(CALL)\necho $A | jq .flux_id\n[ $(echo $A | jq .trigger_status) = created ]", STATUS),
        ("A=$(CALL)\necho $A", "its answer goes somewhere that does not show what is read of it"),
        ("CALL | jq .", "its answer goes somewhere that does not show what is read of it"),
        ("go() { CALL; }\nA=$(go)\n", "its answer goes somewhere that does not show what is read of it"),
        ("go() {\n  CALL\n}\ngo | tee log\n", "its answer goes somewhere that does not show what is read of it"),
        ("for a in b; do CALL; done | tee log", "its answer goes somewhere that does not show what is read of it"),
        ("( CALL ) | tee log", "its answer goes somewhere that does not show what is read of it"),
        ("{ CALL || exit 1; } > log", "its answer goes somewhere that does not show what is read of it"),
        ("CALL > a.json", "its answer goes somewhere that does not show what is read of it"),
        ("CALL -o a.json", "its answer goes somewhere that does not show what is read of it"),
        ("CALL | python3 -c 'print(flux_id)'", "its answer is read by something other than jq or grep"),
        ("CALL | jq . | sed s/flux_id/x/", "its answer is read by something other than jq or grep"),
    ],
)
def test_what_is_read_otherwise_is_not_changed(text: str, reason: str) -> None:
    text = text.replace("CALL", CALL)
    assert changed(text, "a.sh", unsafe=True) == text
    assert reason in refused(text, "a.sh", unsafe=True)


@pytest.mark.parametrize(
    "rest", [" >/dev/null", " -o /dev/null", " || exit 1", "; echo done | tee log", "\ngo() { echo; }\na=$(go)\n"]
)
def test_an_answer_that_nobody_reads_needs_no_look(rest: str) -> None:
    assert NEW in changed(f"{CALL}{rest}\n", "a.sh")


def test_fields_belong_to_the_trigger_before_them_whatever_is_called_between() -> None:
    text = f"{CALL}\nA=$({CALL})\ncurl https://example.com\necho $A | jq .flux_id\n"
    assert changed(text, "a.sh").split("\n")[:2] == [NEW_CALL, f"A=$({CALL})"]
    assert changed(text, "a.sh", unsafe=True).split("\n")[3] == "echo $A | jq .slug"


def test_a_task_of_ansible_that_is_registered_is_read() -> None:
    task = f"- shell: |\n    {CALL}\n  register: run\n- debug:\n"
    assert changed(task, "a.yml") == task
    assert NEW in changed(task.replace("  register: run\n", ""), "a.yml")


def test_so_is_a_step_of_jenkins_that_is_returned() -> None:
    step = f"pipeline {{ a = sh(script: '''{CALL} ''', returnStdout: true) }}"
    assert changed(step, "Jenkinsfile") == step
    assert NEW in changed(step.replace(", returnStdout: true", ""), "Jenkinsfile")
