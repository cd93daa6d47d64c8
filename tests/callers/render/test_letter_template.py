import re
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.render.letter_template import Wording, WrongTemplate
from proxy.callers.render.letters import Letter, LetterCaller
from proxy.withdrawn.brownouts import Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import once, rule
from tests.callers.render.written import letter
from tests.support.paths import ROOT

HOSTILE = "\x1b[2J```\n# heading\n\u202e|<b>*x* [a](https://evil.example) @team {{ 7 * 7 }}\r\nBcc: x@example.org"
INTERRUPTIONS = (
    "Planned interruptions: 2026-11-25 00:00 UTC to 2026-11-25 01:00 UTC, 2026-11-26 00:00 UTC to 2026-11-26 01:00 UTC."
)
POLICY = Policy(sunset=NOW + 40 * DAY, brownouts=(once(NOW + DAY), once(NOW + 2 * DAY)))


@pytest.fixture
def usual(tmp_path: Path) -> Letter:
    log = [*beats(NOW - 9 * DAY), *nightly(9, 1, token="a" * 12), *nightly(9, 2, "weekly", token="b" * 12)]
    rules = [rule("nightly", owner="team-a"), rule("weekly", owner="team-a", extension=NOW + 90 * DAY)]
    return letter(tmp_path, *log, rules=rules, policy=POLICY, sender="Anna <anna@example.org>")


def test_our_template_has_all_that_an_owner_needs(usual: Letter) -> None:
    draft = Wording().write(usual)

    assert draft.subject == "Please move 2 tools to the new CI API before 2027-01-03"
    assert draft.markdown.startswith(f"# {draft.subject}\n\nHello team-a,\n\nSourceCraft has withdrawn ")
    for line in (
        "- `nightly`: 9 calls, the last at 2026-11-23 00:00 UTC. **Please move it before 2027-01-03**."
        f" {INTERRUPTIONS}",
        "- `weekly`: 8 calls, the last at 2026-11-22 00:00 UTC. **Please move it before 2027-02-22**, which is later"
        f" than for others. {INTERRUPTIONS}",
        "curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs \\",
        "Please ask `Anna <anna@example.org>`, also if one of these tools is not yours, or cannot be moved in time.",
        "- tokens: `aaaaaaaaaaaa (9)`",
    ):
        assert line in draft.text.splitlines(), draft.text
    assert "\n\n\n" not in draft.markdown
    assert max(draft.text.find(part) for part in ("## What to change", "## Questions")) < draft.text.index("Last calls")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"end": None}, "The date on which it must have moved will follow."),
        ({"is_refused": True, "end": NOW}, "**It is refused already, since 2026-11-24.**"),
        ({"is_refused": True, "end": None}, "**It is refused already.**"),
    ],
)
def test_our_template_says_from_when_on_calls_are_refused(usual: Letter, changes: dict[str, Any], says: str) -> None:
    caller = usual.callers[0]._replace(**changes)
    draft = Wording().write(usual._replace(callers=[caller], end=None, sender=None, documentation=None))

    assert says in draft.text
    assert "Please reply to this letter, also if one of these tools is not yours" in draft.text
    assert draft.subject == "Please move 1 tool to the new CI API"


def test_what_callers_say_is_never_markup(tmp_path: Path) -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ["caller", "user_agent", "workflow", "owner", "run_user", "error_code", "run", "org", "client_ip"], HOSTILE
    )
    record = call(NOW - DAY, token="a" * 12, inputs=[HOSTILE], ignored_fields=[HOSTILE], **fields)
    made = letter(tmp_path, record, owner=HOSTILE, policy=POLICY, sender=HOSTILE)
    draft = Wording().write(made._replace(documentation=HOSTILE, service=HOSTILE))

    assert draft.subject.isprintable()
    assert all(line.isprintable() for line in draft.text.splitlines())
    fences = [line for line in draft.text.splitlines() if line.startswith("```")]
    assert fences == ["```sh", "```", "```", "```"]
    outside = re.sub(
        r"(`+)(?!`).+?(?<!`)\1(?!`)", "", re.sub(r"^```.*?^```$", "", draft.text, flags=re.MULTILINE | re.DOTALL)
    )
    assert not re.search(r"evil|heading|<b>|@team|Bcc", outside), outside


def own(folder: Path, text: str) -> Wording:
    (folder / "own.md.jinja").write_text(text, encoding="utf-8")
    return Wording(str(folder / "own.md.jinja"))


def test_a_company_can_have_its_own_wording(usual: Letter, tmp_path: Path) -> None:
    draft = own(
        tmp_path,
        "# Grüße, {{ owner|words }}\n"
        "{% for caller in callers %}\n- {{ caller.name }} {{ caller.calls }} {{ caller.end }}\n{% endfor %}\n"
        "{{ date }} {{ sender }} {{ contacts }} {{ documentation }}",
    ).write(usual._replace(documentation=None))

    assert draft.subject == "Grüße, team-a"
    assert draft.text == (
        "- `nightly` 9 2027-01-03\n- `weekly` 8 2027-02-22\n2026-11-24 `Anna <anna@example.org>` `[]`\n"
    )


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("# A\n{{ callr }}", "line 2: 'callr' is undefined"),
        ("# A\n\n{% for %}", "line 3: Expected an expression, got 'end of statement block'"),
        ("# A\n{{ owner.__class__.__mro__ }}", "line 2: access to attribute '__class__' of 'str' object is unsafe."),
        ("# A\n{{ callers.append(1) }}", "line 2: "),
        ("# A\n{% include '/etc/passwd' %}", "line 2: no loader for this environment specified"),
        ("# A\n{{ 1 / 0 }}", "line 2: division by zero"),
        ("# A\n{% for i in range(10 ** 9) %}{% endfor %}", "line 2: Range too big."),
        ("{# nothing #}", "its first line must be the subject, such as # Please move your tools"),
        ("#  \nHello", "its first line must be the subject"),
    ],
)
def test_a_wrong_template_is_explained_in_one_line(usual: Letter, tmp_path: Path, template: str, problem: str) -> None:
    with pytest.raises(WrongTemplate) as raised:
        own(tmp_path, template).write(usual)

    text = str(raised.value)
    assert text.startswith(str(tmp_path / "own.md.jinja"))
    assert problem in text
    assert "\n" not in text


def test_a_template_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.jinja").write_bytes(b"\xff")
    with pytest.raises(WrongTemplate, match=r"a\.jinja: it is not UTF-8"):
        Wording(str(tmp_path / "a.jinja"))
    with pytest.raises(WrongTemplate, match="gone: No such file or directory"):
        Wording(str(tmp_path / "gone"))


def test_each_documented_field_exists_and_each_field_is_documented() -> None:
    page = (ROOT / "proxy/callers/README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| field \| .*letter.*\n\| --- .*\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table is not None
    listed = {name for row in table[1].splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}

    assert listed == {
        *Letter._fields,
        *(f"caller.{name}" for name in LetterCaller._fields),
        *(f"window.{name}" for name in Window._fields),
    }
