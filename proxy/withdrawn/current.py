"""What the current API owns: a path that begins like this is never a withdrawn one (API.md, section 5).

The API grows, so this list ages. To renew it, change the names and the date here and in ``deploy/nginx``.
"""

PUBLISHED = "November 2026"
"""When the names were taken from the published document."""

FIRST_SEGMENTS = (
    "issue_comments", "issue_links", "issue_statuses", "issues", "labels", "me", "milestones", "operations", "orgs",
    "projects", "pull_comments", "pulls", "releases", "repos", "teams", "user", "users",
)  # fmt: skip
"""First segments that are never an organization."""


def _spelled(text: str) -> str:
    return "".join(f"(?:{char}|%{ord(char):02X})" for char in text)


ID_PREFIX = f"(?i:(?:{_spelled('cloud-')})?{_spelled('id:')})"
"""A regular expression for ``id:`` and ``cloud-id:``, in any case, each character percent-encoded or not.

A second segment that begins so is never a repository's slug, whatever stands before it.
"""
