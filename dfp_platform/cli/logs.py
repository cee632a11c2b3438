"""How servers write their log: for people, or a JSON object a line for whoever collects it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


def configure_log() -> None:
    """Have this process write its log as DFP_LOG_FORMAT says; what it tells a person at its start stays text."""
    from uvicorn.config import LOGGING_CONFIG

    from dfp_platform.settings import settings

    if settings().log_format != "json":
        return
    lines = logging.StreamHandler()
    lines.setFormatter(JsonLines())
    logging.basicConfig(handlers=[lines], level=logging.INFO, force=True)
    for formatter in ("default", "access"):
        LOGGING_CONFIG["formatters"][formatter] = {"()": JsonLines}
