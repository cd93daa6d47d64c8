"""The transforms of deploy/logs/vector.yaml, run by Vector's own engine for them."""

import base64
import importlib
import importlib.util
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import yaml

from tests.deploy.tools import DEPLOY
from tests.support.programs import lack

FILE = DEPLOY / "logs" / "vector.yaml"
CONFIG: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))


class Shipped(NamedTuple):
    """What becomes of a line.

    Attributes:
        row: what ClickHouse is sent.
        line: what Loki is sent, at which time, and with which labels.
    """

    row: bytes
    line: bytes
    at: datetime
    labels: dict[str, str]


class Vector:
    """Runs what is between the source and the sinks; a test that needs it is skipped where it is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec("vrl_python") is None:
            lack("vrl-python is not installed", "make engines")
        self._run = importlib.import_module("vrl_python").VRLRuntime().execute
        transforms = CONFIG["transforms"]
        # A line's bytes come in and go out as base64, since Python's strings cannot hold them all.
        self._program = "\n".join(
            (
                ".message = decode_base64!(.message)",
                transforms["records"]["source"],
                "record = .",
                transforms["rows"]["source"],
                ". = {",
                '  "row": encode_json(.), "line": encode_base64(record.message), "labels": record.labels,',
                '  "at": to_unix_timestamp(record.timestamp, unit: "microseconds"),',
                "}",
            )
        )

    def ship(self, line: bytes) -> Shipped | None:
        """What becomes of a line; None where it is no record."""
        try:
            event = self._run(self._program, {"message": base64.b64encode(line).decode()}).processed_event
        except RuntimeError as error:
            assert "error[E000]" in str(error), error  # at run time, not of the compiler
            return None
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event["at"])
        return Shipped(event["row"].encode(), base64.b64decode(event["line"]), at, event["labels"])

    def rows(self, log: bytes) -> bytes:
        """What ClickHouse is sent of a log."""
        shipped = (self.ship(line) for line in log.split(b"\n"))
        return b"".join(one.row + b"\n" for one in shipped if one is not None)
