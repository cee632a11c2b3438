"""The one way to MLflow: without telemetry, without its talk about the tables it makes, its errors in our words."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import UnreachableError, without_logins

if TYPE_CHECKING:
    from mlflow import MlflowClient


_FILE = "sqlite:///"

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""Of a client of a server, where the environment says nothing: MLflow's own would wait for minutes."""


def is_server(uri: str) -> bool:
    """Whether an address is that of an MLflow server, which keeps artifacts too; else it is a database."""
    return uri.startswith(("http://", "https://"))


def is_there(uri: str) -> bool:
    """Whether there is an MLflow to ask: asking for a file that is not there would make a new database."""
    return not uri.startswith(_FILE) or Path(uri.removeprefix(_FILE)).exists()


@contextmanager
def talking_to(uri: str, *, task: str) -> Iterator[MlflowClient]:
    """A client of the MLflow at an address. The first one on a new database makes its tables, which takes seconds.

    Args:
        task: what is asked of it, for the error: ``take the training k``.
    Raises:
        UnreachableError: MLflow did not do it.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # its only switch, looked at by its first import
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        clean = without_logins(str(error)) == str(error)  # else a traceback would quote the login of the address
        raise UnreachableError(
            f"MLflow at {uri} did not {task}: {error.message}",
            hint="look whether its database or server is there, then try again",
            address=uri,
        ) from (error if clean else None)
