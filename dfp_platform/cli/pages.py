"""`dfp lake pages` and `dfp dev`: the lake's reports in a browser, alone or beside Dagster's UI."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from dfp_platform.cli.screen import err
from dfp_platform.errors import ConfigurationError

if TYPE_CHECKING:
    import uvicorn

Port = Annotated[
    int | None, typer.Option(min=1, max=65_535, help="Port of the lake's pages; else that of DFP_PAGES_URL.")
]


def pages(port: Port = None) -> None:
    """Show reports, model cards and all other files of the lake in a browser of this machine.

    The address of every file is /<branch, tag or commit>/<path>; links of assets in Dagster's UI lead there.
    """
    server = _server(port, alone=True)
    err().print(f"The lake's pages: http://127.0.0.1:{server.config.port}")
    server.run()


def dev(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of Dagster's UI.")] = 3_000,
    pages_port: Port = None,
) -> None:
    """Dagster's UI on this checkout, with the daemon that queues and schedules, and the lake's pages."""
    from dfp_platform.settings import PROJECT_ROOT

    server = _server(pages_port, alone=False)
    _refuse_taken(port, "--port")
    home = _instance_home()
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "--port", str(port), "--workspace", workspace]
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job would hand on that it is ignored
    # in a session of its own, so that it hears of an end once, and from here, whoever asked for it
    dagster = subprocess.Popen(command, cwd=home, env=environment, start_new_session=True)
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, lambda *_: dagster.send_signal(signal.SIGINT))
    beside = threading.Thread(target=server.run, daemon=True)
    beside.start()
    err().print(f"Dagster: http://127.0.0.1:{port}    the lake's pages: http://127.0.0.1:{server.config.port}")
    code = dagster.wait()
    server.should_exit = True
    beside.join(timeout=5)
    raise typer.Exit(max(code, 0))


def _instance_home() -> Path:
    """The folder of Dagster's records, with the checkout's `dagster.yaml` in it, whose paths are made absolute."""
    import yaml

    from dfp_platform.resources.instance_config import instance_config
    from dfp_platform.settings import PROJECT_ROOT, settings

    home = settings().dagster_home
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"dagster.yaml.{os.getpid()}"
    fresh.write_text(yaml.safe_dump(instance_config(PROJECT_ROOT, home)))
    fresh.replace(home / "dagster.yaml")
    return home


def _refuse_taken(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} is taken", hint=f"name another: {option} {port + 1}", setting=option
            ) from error


def register(lake_app: Any, app: Any) -> None:
    """Add these commands to `dfp lake` and to `dfp`."""
    lake_app.command()(pages)
    app.command()(dev)


def _server(port: int | None, *, alone: bool) -> uvicorn.Server:
    import uvicorn

    from dfp_platform.lake import open_lake
    from dfp_platform.serving.pages import create_pages
    from dfp_platform.settings import settings

    chosen = port or urlsplit(settings().pages_url).port or 8_020
    _refuse_taken(chosen, "--port" if alone else "--pages-port")
    app = create_pages(open_lake(settings().lake_uri, create=True), settings().branch)
    return uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=chosen, log_level="warning", access_log=False))
