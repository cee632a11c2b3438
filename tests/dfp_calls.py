"""`dfp` called in the process of a test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from dfp_platform.cli import main

Dfp = Callable[..., tuple[int, str, str]]


def calling(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], *command: str) -> Dfp:
    """Calls `dfp`, or a command of it, in this process; gives exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dfp", *command, *arguments])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            sys.exit(main())
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        return int(ended.value.code or 0), said.out.decode(), said.err.decode()

    return call
