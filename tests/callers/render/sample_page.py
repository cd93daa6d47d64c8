"""Pages on made-up callers: usual ones, and hostile ones."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

from proxy.callers.identity import Rule
from proxy.callers.record import Record
from proxy.callers.render.html_page import to_html
from proxy.callers.report.aggregator import Dimension
from proxy.withdrawn.brownouts import Brownout, Once, Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily

BASE = "https://api.sourcecraft.tech"
LONG = "x" * 10_000
BIDI = "\u202etxet\u2066"
HOSTILE = [
    "<script>document.title = 'run'</script>",
    '"><img src=x onerror="document.title = \'run\'">',
    "javascript:alert(1)",
    "{{7*7}}{% raw %}",
    "</svg></style></pre></title><h1>",
    "' autofocus onfocus='document.title = 1",
    "&lt;b&gt; &amp;",
    f"a{BIDI}\x1b[31m\x00\r\n]]>-->",
    LONG,
]


OWNERS = ("team-build", "team-release", "mobile", "finance", "data-platform")
CONTACTS = ("build@acme.example", "https://acme.example/release", "mobile@acme.example", "#finance", None)
POLICY = Policy(
    freeze=NOW - 24 * DAY,
    sunset=NOW + 60 * DAY,
    brownouts=(
        Brownout(Once(Window(NOW - 12 * DAY, NOW - 12 * DAY + timedelta(hours=1)))),
        Brownout(Once(Window(NOW - 5 * DAY, NOW - 5 * DAY + timedelta(hours=2))), ("mobile",)),
        Brownout(Once(Window(NOW + 14 * DAY, NOW + 14 * DAY + timedelta(hours=4)))),
    ),
)


def page(
    folder: Path,
    records: Iterable[Record],
    *,
    rules: Iterable[Rule] = (),
    by: Dimension = "caller",
    policy: Policy | None = None,
) -> str:
    made = analyzed(folder, records, rules=rules, by=by, policy=policy)
    return "".join(to_html(made, made.report.rows, BASE, policy or Policy()))


def forty(folder: Path) -> str:
    """The page on forty callers of five owners, of which some have left since a hundred and fifty days."""
    records: list[Record] = [*beats(150, 40.2), *beats(40)]
    rules = []
    for index in range(40):
        name = f"{('build', 'deploy', 'nightly', 'report', 'sync')[index % 5]}-{index:02}"
        owner, last = (index * 7) % 6, (0, 1, 62, 2, 75, 8, 90, 0, 48, 104)[index % 10]
        fields = {"user_agent": f"{name}/1.{index}", "run_user": f"user{index % 7}", "workflow": name.partition("-")[0]}
        records += daily(name, 6 if index == 37 else 140 - index % 4, last, **fields)  # one is new
        if owner:
            rules.append(Rule(name, owner=OWNERS[owner - 1], contact=CONTACTS[owner - 1], agents=(f"{name}/*",)))
    return page(folder, records, rules=rules, policy=POLICY)


def many(folder: Path, callers: int) -> str:
    """The page on so many callers."""
    records: list[Record] = [*beats(40)]
    for index in range(callers):
        fields = {
            "user_agent": f"tool-{index}/1.{index % 9}",
            "run_user": f"user{index % 700}",
            "repo": f"r{index % 90}",
        }
        owner = f"team-{index % 50}" if index % 3 else None
        records += [call(f"caller-{index:05}", DAY * ago, owner=owner, **fields) for ago in (1 + index % 20, 25)]
    return page(folder, records)


def usual() -> list[Record]:
    return [
        *beats(70, 20),
        *beats(18),
        *daily("nightly", 50, 0, owner="Platform", run_user="bot", user_agent="curl/8", inputs=["version"]),
        *daily("moved", 70, 36, owner="Mobile", repo="app", path="/acme/app/ci_workflows/build/trigger"),
        *(call("burst", DAY * 9, status=503, outcome="overloaded", error_code="overloaded") for _ in range(30)),
        call("stray", DAY * 5, ignored_fields=["workflow_slug"], path="/acme/shop/ci_workflows/a%2Fb%24/trigger"),
        call("stray", DAY * 5, endpoint="list_runs", method="GET", path="/acme/shop/cicd/runs", workflow=None),
    ]


def hostile() -> list[Record]:
    calls: list[Record] = [
        call(
            text,
            DAY * 3,
            owner=text,
            run_user=text,
            user_agent=text,
            path=f"/acme/shop/ci_workflows/{text}/trigger",
            org=text,
            repo=text,
            workflow=text,
            client_ip=text,
            token=text,
            endpoint=text,
            method=text if index % 2 else "POST",
            outcome="rejected",
            status=400,
            error_code=text,
            run=text,
            inputs=[text],
            ignored_fields=[text],
        )
        for index, text in enumerate(HOSTILE)
    ]
    return [*beats(40), *calls]


def read(html: str) -> ET.Element:
    """The page, read as strictly as XML is."""
    return ET.fromstring(html)  # noqa: S314 - our own page
