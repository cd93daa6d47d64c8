"""The Compose file."""

from typing import Any

import yaml

from proxy import config
from tests.deploy.engine import FOLDER

COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))

SERVICES: dict[str, Any] = COMPOSE["services"]

PROXIES = ("proxy-1", "proxy-2")

SETTINGS = config.load(str(FOLDER / "trigger-shim" / "config.yaml"), {})
