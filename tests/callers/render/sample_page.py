"""Pages on made-up callers: usual ones, and hostile ones."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from proxy.callers.identity import Rule
from proxy.callers.record import Record
from proxy.callers.render.html_page import to_html
from proxy.callers.report.aggregator import Dimension
from tests.callers.sample import DAY, analyzed, beats, call, daily

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


def page(folder: Path, records: Iterable[Record], *, rules: Iterable[Rule] = (), by: Dimension = "caller") -> str:
    made = analyzed(folder, records, rules=rules, by=by)
    return "".join(to_html(made, made.report.rows, BASE))


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
            outcome="timeout",
            status=504,
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
