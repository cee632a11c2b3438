"""What trains and serves: MLflow, the features that are applied and served, inference APIs."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from dfp_platform.errors import UnreachableError
from dfp_platform.lake import open_lake
from dfp_platform.models.mlflow_client import is_server, is_there
from dfp_platform.probes.asking import get
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.settings import Settings

if TYPE_CHECKING:
    from dfp_platform.lake.interface import Lake

_SQLITE = "sqlite:///"
_ONLINE = "features/online/report.json"


def ask_mlflow(at: Settings, seconds: float) -> Finding:
    """Ask the tracking server for an experiment, or its database for the number of its runs."""
    if is_server(at.mlflow_uri):
        return _mlflow_server(at.mlflow_uri, seconds)
    if not is_there(at.mlflow_uri):
        return Finding(f"MLflow ok: the first training makes {at.mlflow_uri.removeprefix(_SQLITE)}")
    if at.mlflow_uri.startswith(_SQLITE):
        place = at.mlflow_uri.removeprefix(_SQLITE)
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=seconds)) as database:
            runs = database.execute("select count(*) from runs").fetchone()[0]
        return Finding(f"MLflow ok: {place}", {"runs": runs})
    import sqlalchemy

    engine = sqlalchemy.create_engine(at.mlflow_uri)
    with engine.connect() as connection:
        runs = connection.execute(sqlalchemy.text("select count(*) from runs")).scalar_one()
    return Finding(f"MLflow ok: {engine.url.render_as_string(hide_password=True)}", {"runs": runs})


def _mlflow_server(uri: str, seconds: float) -> Finding:
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    answer = get(
        f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search",
        params={"max_results": 1},
        auth=(user, password) if user else None,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        seconds=seconds,
    )
    said = f"{uri} -> {answer.status_code}"
    if answer.status_code in (401, 403):
        return Finding(said, status="failed", hint="check MLFLOW_TRACKING_USERNAME and …PASSWORD, or …TOKEN")
    if not answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return Finding(f"no MLflow: {said}", status="failed", hint="check DFP_MLFLOW_URI, and the server's log")
    return Finding(f"MLflow ready: {said}")


def look_at_features(at: Settings, seconds: float) -> Finding:
    """Read the registry of the target, and which online version is served against which the target names."""
    from dfp_platform.features import REGISTRY, open_keeper

    lake = open_lake(at.lake_uri)
    head = lake.resolve(at.branch)
    if not lake.exists(head, REGISTRY):
        return Finding(f"no features are applied at {at.branch}", status="warning", hint="dfp run --to features")
    facts = {"store": "Redis" if at.redis_url else "SQLite", **_views(at, lake, head)}
    with closing(open_keeper(at)) as keeper:
        now = keeper.current(at.branch)
    named = json.loads(lake.read(head, _ONLINE))["version"] if lake.exists(head, _ONLINE) else None
    if now is None:
        return Finding(f"{at.branch} serves no features", facts, "warning", "dfp run --select features")
    if named is not None and now.version != named:
        said = f"{at.branch} serves {now.version}, while its head names {named}"
        return Finding(said, facts, "warning", "rolled back by hand? else `dfp features materialize` serves it")
    return Finding(f"Features ok: {at.branch} serves {now.version}", facts)


def _views(at: Settings, lake: Lake, head: str) -> dict[str, int]:
    """How many feature views the registry has; the plain store has no registry to ask."""
    if at.feature_store != "feast":
        return {}
    from dfp_platform.features import open_store

    return {"feature views": len(open_store(lake, head).list_all_feature_views())}


def ask_services(at: Settings, seconds: float) -> Finding:
    """Ask each inference API whether it can answer; the worst of them counts."""
    told, shut = [], []
    for address in at.serving_addresses:
        try:
            answer = get(f"{address}/readyz", seconds=seconds / len(at.serving_addresses))
        except UnreachableError as error:
            told.append(error.message)
            shut.append(address)
            continue
        told.append(f"{address}/readyz -> {answer.status_code}")
        if not answer.is_success:
            shut.append(address)
    if shut:
        hint = "`dfp serve` there, and look at its /readyz: it tells which part is missing"
        return Finding(f"{len(shut)} of {len(told)} not ready: {'; '.join(told)}", status="failed", hint=hint)
    return Finding(f"Inference ready: {'; '.join(told)}")


def _load_http(at: Settings) -> None:
    import httpx  # noqa: F401


def _load_features(at: Settings) -> None:
    from dfp_platform.features import open_keeper, open_store
    from dfp_platform.features.repository import import_feast

    assert open_keeper
    assert open_store
    if at.feature_store == "feast":
        import_feast()


DOORS = (
    Door(
        "mlflow",
        "Trainings can be tracked.",
        ask_mlflow,
        "start MLflow, or check DFP_MLFLOW_URI",
        load=_load_http,
    ),
    Door(
        "features",
        "Features are applied, and what is served is what the target names.",
        look_at_features,
        "dfp features status tells more; `dfp run --select features` makes them again",
        load=_load_features,
        seconds=15.0,  # Feast builds its store in this process
    ),
    Door(
        "inference",
        "Inference APIs have a model to answer with.",
        ask_services,
        "start `dfp serve`, or check DFP_SERVING_URLS",
        unused=lambda at: "" if at.serving_addresses else "DFP_SERVING_URLS is empty",
        load=_load_http,
    ),
)
