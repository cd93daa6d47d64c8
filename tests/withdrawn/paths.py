"""Paths of the withdrawn endpoints, and of those that are not."""

import re
from urllib.parse import unquote

from hypothesis import strategies as st

from proxy.errors import InvalidPath
from proxy.withdrawn.endpoints import Match, match

IDS = ["id:42", "id%3A42", "id%3a42", "%69d:42", "i%64%3A42", "ID:42", "cloud-id:x", "cloud%2Did%3ax", "%63loud-id:x"]
"""Spellings of a second segment that names something by its ID."""

CURRENT_FIRST_SEGMENTS = [
    "issue_comments",
    "issue_links",
    "issue_statuses",
    "issues",
    "labels",
    "me",
    "milestones",
    "operations",
    "orgs",
    "projects",
    "pull_comments",
    "pulls",
    "releases",
    "repos",
    "teams",
    "user",
    "users",
]


def matched(path: str, method: str = "POST") -> Match:
    found = match(method, path)
    assert found is not None
    return found


def trigger(org: str = "acme", repo: str = "shop", workflow: str = "build") -> str:
    return f"/{org}/{repo}/ci_workflows/{workflow}/trigger"


WAYS_OUT = [
    ".",
    "..",
    "%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252E",
    "%25252e.",
    "%25%32%65%25%32%65",
    "%252%65.",
    "%%32e%%32e",
    "..;",
    "..;a=b",
    ".;",
    "..%3B",
    "%2e%2e%3ba",
    "..%253Ba",
    ";a",
    "a\\..",
    "..\\",
    "\\",
    "a%5C..",
    "a%5cb",
    "a%255C..",
    "a%2F..",
    "..%2Fa",
    "a%2F..%2F..%2Fusers",
    "a%2Fb",
    "a%2fb",
    "a%3fb",
    "%2F",
    "a%252F..",
    "a%25252fb",
    "a?",
    "a#",
    "a%3Fb",
    "a%23b",
]

UNCLEAN = ["a%00b", "%0d%0aX:y", "%1F", "%7f", "%C2%80", "%c2%9Fa", "%C0%AE", "%c0%af", "%E0%80%AF", "%FF", "%ED%A0%80"]
"""Encoded control characters, overlong UTF-8, and what is no UTF-8 at all."""

HARMLESS = [*"aZ5-_~+:&=", "%41", "%d1", "%20", "2e", "2F", "5c", "25", "id:"]

SUSPECT = [
    *".;",
    "..",
    "%2e",
    "%2E",
    "%3b",
    "%2F",
    "%2f",
    "%5C",
    "%5c",
    "%25",
    "%32",
    "%65",
    "%46",
    "%3F",
    *"/\\ %\n\xff",
]

SLUGS = st.lists(st.sampled_from(HARMLESS) | st.sampled_from(SUSPECT), min_size=1, max_size=6).map("".join)


def decodings(path: str) -> list[str]:
    found = [path]
    while (decoded := unquote(found[-1], "latin-1")) != found[-1]:
        found.append(decoded)
    return found


def without_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4, letter by letter."""
    left, output = path, ""
    while left:
        if left.startswith("../"):
            left = left[3:]
        elif left.startswith(("./", "/./")):
            left = left[2:]
        elif left == "/.":
            left = "/"
        elif left.startswith("/../") or left == "/..":
            left = "/" + left[4:]
            output = output[: output.rfind("/")] if "/" in output else ""
        elif left in {".", ".."}:
            left = ""
        else:
            end = left.find("/", 1)
            end = len(left) if end < 0 else end
            output, left = output + left[:end], left[end:]
    return output


def successor_readings(found: Match | None) -> set[str]:
    """What the path of the successor may mean; nothing if the call has none."""
    try:
        return readings(found.successor) if found is not None else set()
    except InvalidPath:
        return set()


def readings(path: str) -> set[str]:
    """What the path may mean to servers that decode again, take a backslash for a slash, or strip parameters."""
    found = set()
    for decoded in decodings(path):
        for slashes in (decoded, decoded.replace("\\", "/")):
            for path_only in (slashes, re.split("[?#]", slashes)[0]):
                found |= {without_dot_segments(path_only), without_dot_segments(re.sub(";[^/]*", "", path_only))}
    return found


CUBE = "7/build/task/cube"

SECTION = [
    ("run_workflows", "POST", "/acme/shop/cicd/runs"),
    ("list_runs", "GET", "/acme/shop/cicd/runs"),
    ("get_run", "GET", "/acme/shop/cicd/runs/7"),
    ("get_workflow", "GET", "/acme/shop/cicd/runs/7/build"),
    ("get_logs", "GET", f"/acme/shop/cicd/logs/{CUBE}"),
    ("get_artifacts", "GET", f"/acme/shop/cicd/artifacts/{CUBE}"),
    ("update_repository", "PATCH", "/acme/shop"),
    ("delete_repository", "DELETE", "/acme/shop"),
]
