"""`dfp`, the command line. `main` is the entry point; each module beside this one holds one family of commands."""

from __future__ import annotations

import sys

from dfp_platform.errors import DfpError


def main() -> None:
    """Run `dfp`. Exit codes: 0 done, 1 it did not work (the message says what to do next), 2 wrong usage."""
    from dfp_platform.cli.app import app
    from dfp_platform.cli.screen import complain

    try:
        app()
    except DfpError as error:
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `dfp lake log | head`
        sys.stderr.close()
        sys.exit(0)
