"""The systemd unit, and its configuration."""

import configparser

from proxy import config
from tests.deploy.tools import DEPLOY

FOLDER = DEPLOY / "systemd"

UNIT = FOLDER / "trigger-shim.service"

INSTALLED = "/opt/trigger-shim/bin/trigger-shim"


class _Unit(configparser.RawConfigParser):
    """A unit: names as they are written, and of a repeated one the last."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=("=",), interpolation=None)
        self.read_string(UNIT.read_text(encoding="utf-8"))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


SERVICE = _Unit()["Service"]

SETTINGS = config.load(str(FOLDER / "config.yaml"), {}, {"callers": {"fingerprint_key_file": None}})
"""Its configuration, without the key, which is not on this machine."""
