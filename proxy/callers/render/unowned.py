"""The list of callers that nobody is named for, with what is known of each, for whoever finds their owners."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from proxy.callers.networks import network_of
from proxy.callers.render.profile import CallerProfile
from proxy.callers.render.profile_text import evidence_to_markdown
from proxy.output.formatting import code, format_counts, minute


def unowned_to_markdown(profiles: Iterable[CallerProfile], now: datetime) -> str:
    """The list as Markdown."""
    lines = [
        "# Callers without an owner",
        "",
        f"As of {minute(now)} UTC. Find out whose they are, and name the owner of each in callers.known.",
        "",
    ]
    for profile in profiles:
        lines += [f"## {code(profile.row.name)}", "", *_networks(profile), evidence_to_markdown(profile), ""]
    return "\n".join(lines)


def _networks(profile: CallerProfile) -> list[str]:
    networks: Counter[str] = Counter()
    for address, calls in profile.detail.counts["addresses"].items():
        if (network := network_of(address)) is not None:
            networks[str(network)] += calls
    return [f"- networks: {code(format_counts(networks.items()))}"] if networks else []
