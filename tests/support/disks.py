"""Disks that fail. Mounting one needs root; without it, the tests that need one are skipped."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.programs import lack, program


def _ask_for_root() -> None:
    if os.geteuid() != 0:
        lack("only root can mount a disk", "sudo make test")


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something over a folder."""
    _ask_for_root()
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        lack("not even root can mount a disk here", "give the container CAP_SYS_ADMIN")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 64 KB."""
    with mounted(folder, "-t", "tmpfs", "-o", "size=64k", "none"):
        yield


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only during the block. For root, its content is hidden as well."""
    if os.geteuid() == 0:  # whom no permission stops
        with mounted(folder, "-t", "tmpfs", "-o", "ro", "none"):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


class Ext4:
    """A file system that can be frozen: then processes that write to it sleep, and no signal wakes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        fsfreeze = program("fsfreeze")
        subprocess.run([fsfreeze, "--freeze", str(self._folder)], check=True)
        try:
            yield
        finally:
            subprocess.run([fsfreeze, "--unfreeze", str(self._folder)], check=True)


@contextlib.contextmanager
def ext4(folder: Path) -> Iterator[Ext4]:
    """A disk with an ordinary file system."""
    _ask_for_root()
    image = folder.with_name(f"{folder.name}.ext4")
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run([program("mkfs.ext4"), "-q", str(image)], check=True)
    with mounted(folder, "-o", "loop", str(image)):
        yield Ext4(folder)
