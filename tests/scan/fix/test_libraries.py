"""Calls of libraries in Python and JavaScript."""

import pytest

from tests.scan.fix.planning import NEW, OLD, changed, refused


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'requests.post("{OLD}")', f'requests.post("{NEW}", json={{"workflows": [{{"name": "build"}}]}})'),
        (f'httpx.post("{OLD}", json={{}}, headers=H, timeout=5)  # żółw',
         f'httpx.post("{NEW}", json={{"workflows": [{{"name": "build"}}]}}, headers=H, timeout=5)  # żółw'),
        ('session.post(f"{API}/a/{r}/ci_workflows/{w}/trigger", data=json.dumps({"revision": branch}), headers={"Content-Type": "application/json"})',
         'session.post(f"{API}/repos/a/{r}/cicd/runs", data=json.dumps({"workflows": [{"name": f"{w}"}], "head": {"branch": branch}}), headers={"Content-Type": "application/json"})'),
        (f'requests.post("{OLD}", data=json.dumps({{}}), headers={{"A": b}})',
         f'requests.post("{NEW}", data=json.dumps({{"workflows": [{{"name": "build"}}]}}), headers={{"Content-Type": "application/json", "A": b}})'),
        (f'requests.post("{OLD}", json={{"input": {{"values": inputs}}}})',
         f'requests.post("{NEW}", json={{"workflows": [{{"name": "build", "values": inputs}}]}})'),
        (f'run = requests.post("{OLD}", json={{}}).json()["flux_public_id"]',
         f'run = requests.post("{NEW}", json={{"workflows": [{{"name": "build"}}]}}).json()["slug"]'),
    ],
)  # fmt: skip
def test_python_keeps_all_but_the_url_and_the_body(old: str, new: str) -> None:
    old, new = (f"import json, requests\nH = {{}}\ndef f(r, w, branch, inputs):\n    {text}\n" for text in (old, new))
    assert changed(old, "a.py", unsafe=True) == new
    assert changed(old, "a.py") == old
    assert refused(old, "a.py")[0].startswith("only with --unsafe: what the code does with the answer")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fetch(`${api}/a/${r}/ci_workflows/b/trigger`, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({revision: branch})})",
         'fetch(`${api}/repos/a/${r}/cicd/runs`, {method: \'POST\', headers: {\'content-type\': \'application/json\'}, body: JSON.stringify({workflows: [{name: "b"}], head: {branch: branch}})})'),
        (f"axios.post('{OLD}', {{}}, {{ headers }})", f'axios.post("{NEW}", {{workflows: [{{name: "build"}}]}}, {{ headers }})'),
        (f"axios.post('{OLD}', null)", f'axios.post("{NEW}", {{workflows: [{{name: "build"}}]}})'),
        (f"axios({{method: 'post', url: '{OLD}', data: {{}}}}).then(r => r.data.flux_public_id)",
         f'axios({{method: \'post\', url: "{NEW}", data: {{workflows: [{{name: "build"}}]}}}}).then(r => r.data.slug)'),
    ],
)  # fmt: skip
def test_so_does_javascript(old: str, new: str) -> None:
    assert changed(f"{old};\n", "a.js", unsafe=True) == f"{new};\n"
    assert changed(f"{old};\n", "a.js") == f"{old};\n"


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("a.py", f'U = "{OLD}"\nrequests.post(U, json={{}})', "the call in line 2 takes it from here: change both by hand"),
        ("a.py", f'B = {{}}\nrequests.post("{OLD}", json=B)', "its URL or its body is in a variable"),
        ("a.py", f'requests.post("{OLD}", json=b())', "its body is b(), which is not written out: translate what it holds with --path"),
        ("a.py", f'requests.post("{OLD}", data="{{}}")', "its body is a text: let the library make JSON of a value"),
        ("a.py", f'requests.post("{OLD}", data=json.dumps({{}}))', "it does not say that it sends JSON, as the new endpoint asks"),
        ("a.py", f'urlopen(Request("{OLD}", method="POST"))', "calls with Request are not changed"),
        ("a.py", f'requests.post("{OLD}", json={{"revision": rev}})', None),
        ("a.py", f'a = requests.post("{OLD}").json()\nb = a["trigger_status"]', "trigger_status is read of its answer, and has no successor: status of the run tells how far it is"),
        ("a.py", f'a = requests.post("{OLD}", json={{}})\n# flux_id = 3', "its answer is read in a way that is not understood"),
        ("a.py", f'requests.post("{OLD}"', "taken for Python, and not read: line 1 is not valid: '(' was never closed"),
        ("a.js", f"fetch('{OLD}', {{method: 'POST'}})", "it has no body to change"),
        ("a.js", f"fetch('{OLD}', {{method: 'POST', body: JSON.stringify({{}})}})", "it does not say that it sends JSON, as the new endpoint asks"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_refused_with_the_reason(file: str, text: str, reason: str | None) -> None:
    if reason is None:
        assert "rev: taken for a branch; it may hold tags:NAME or a commit" in refused(text, file)[0]
    else:
        assert changed(text, file, unsafe=True) == text
        assert reason in refused(text, file, unsafe=True)


def test_a_body_over_several_lines_is_indented_like_the_old_one() -> None:
    values = ", ".join(f'{{"name": "{name * 20}", "value": "x"}}' for name in "abc")
    text = f'def f():\r\n    requests.post(\r\n        "{OLD}",\r\n        json={{"input": {{"values": [{values}]}}}},\r\n    )\r\n'
    lines = changed(text, "a.py", unsafe=True).split("\r\n")
    assert lines[3:6] == ["        json={", '            "workflows": [', "                {"]
    assert all("\n" not in line for line in lines)
