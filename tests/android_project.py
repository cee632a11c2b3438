"""What the Android lab's files say, for tests."""

from __future__ import annotations

import tomllib
from typing import Any

from dfp_platform.settings import PROJECT_ROOT

LAB = PROJECT_ROOT / "android_lab"


def lab() -> dict[str, Any]:
    return tomllib.loads((LAB / "lab.toml").read_text())
