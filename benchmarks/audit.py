"""Ask OSV whether any pin of `constraints.txt` is known to be vulnerable; part of `make audit`.

Exit codes: 0 none is, 1 some are (each is named), 3 nobody was asked, because OSV cannot be reached from here. Where a
package index answers pip-audit's own question with nothing, that looks like "not found", so OSV is asked instead.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AUDIT = ROOT / ".cache" / "audit" / "bin" / "pip-audit"
NOT_ASKED = 3


def verdict(code: int, said: str) -> tuple[int, str]:
    """The exit code and the last word, of what pip-audit answered and said."""
    if code == 0:
        return 0, "no pin is known to be vulnerable"
    if "ConnectionError" in said or "Failed to resolve" in said or "timed out" in said.lower():
        return NOT_ASKED, "nobody was asked whether a pin is vulnerable: OSV cannot be reached from this machine"
    return 1, said.strip()


def main() -> int:
    """Ask, and print the verdict."""
    command = [
        AUDIT,
        "--requirement",
        ROOT / "constraints.txt",
        "--no-deps",
        "--disable-pip",
        "--vulnerability-service",
        "osv",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code, words = verdict(done.returncode, done.stdout + done.stderr)
    print(words)
    return code


if __name__ == "__main__":
    sys.exit(main())
