"""Runs the proxy as another user, who sees some folders beside the sources, and may write nothing else."""

import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT
from tests.support.programs import program


class User(NamedTuple):
    """Whom a process runs as."""

    user: int
    group: int
    others: int
    """The only other group that it is in."""


def isolated(who: User, folders: Mapping[Path, str], umask: str = "0022") -> list[str]:
    """The command, before the arguments of ``trigger-shim``. It needs root, and leaves it no capability.

    Args:
        who: the user.
        folders: what it sees, and where.
        umask: for the files that it creates.
    """
    # Each is bound to where that user may go: the folder above it may be closed.
    bound = {Path(sys.base_prefix): "/srv", ROOT: "/mnt", **folders}
    steps = [
        *(f"mount --rbind {there} {here}" for there, here in bound.items()),
        *(f"mount -t tmpfs -o ro none {shut}" for shut in ("/tmp", "/var/tmp")),  # noqa: S108
        "mount -o remount,bind,ro /",
        f"umask {umask}",
        'exec "$@"',
    ]
    namespace = [program("unshare"), "--mount", "sh", "-c", " && ".join(steps), "sh"]
    user = [f"--reuid={who.user}", f"--regid={who.group}", f"--groups={who.others}"]
    user += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    libraries = f"/mnt/{Path(sysconfig.get_path('purelib')).relative_to(ROOT)}"
    interpreter = f"/srv/{Path(sys.executable).resolve().relative_to(sys.base_prefix)}"
    python = ["env", f"PYTHONPATH=/mnt:{libraries}", "LD_LIBRARY_PATH=/srv/lib", interpreter, "-P", "-m", "proxy"]
    return [*namespace, program("setpriv"), *user, *python]
