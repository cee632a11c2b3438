"""What came in and went out: the predictions since the last look, and what they say without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError, NotFoundError
from dfp_platform.models.drift import FeatureDrift, feature_drift
from dfp_platform.models.records import Record
from dfp_platform.models.scores import DIGITS
from dfp_platform.serving.prediction_files import feature_names, files_in_order, not_of, tables_of, together
from dfp_platform.serving.predictions import BRANCH, FOLDER, REQUEST, is_joined

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.lake import Lake
    from dfp_platform.models.parts import Parts
    from dfp_platform.schemas import CommitId

MOST_ROWS = 100_000
"""Predictions that one look takes at most, the newest; of 474 features they are 190 MB in memory."""

SCORE_BINS = 20
_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Predictions that came between two looks.

    Attributes:
        rows: as `predictions.prediction_schema` says.
        since: commit of the branch of predictions at the look before; empty: this is the first one.
        until: commit of that branch now.
        left_out: older predictions that were not taken, as there are more than `MOST_ROWS`.
    """

    rows: pa.Table
    since: str
    until: CommitId
    left_out: int


class Answering(Record):
    """The model that a report is about, as the log tells it: see `predictions.Answerer`."""

    artifact: str
    model: str
    version: str
    content: str
    commit: str
    threshold: float


class TrafficDay(Record):
    """One day, UTC: how many apps were asked about, and how many raised an alarm."""

    day: str
    rows: int
    alarms: int


class MovedFeature(Record):
    """A feature that drifted, see `models.drift.FeatureDrift`."""

    feature: str
    psi: float
    limit: float
    missing: float
    reference_missing: float


class TrafficReport(Record):
    """Live traffic of the model that answered most of it, held against what that model was trained on.

    Attributes:
        by: the model.
        rows: its answers; `others` are the answers of other champions, and `shadow` those that were only logged.
        requests: requests that they came in.
        since: first and `until` last moment, UTC.
        left_out: older predictions that were not looked at.
        days: oldest first.
        score_edges: between which scores are counted; `scores` are the counts.
        missing: share of feature values that were not known, over all apps and features.
        unknown_apps: share of apps that the training table does not hold.
        sent: share of apps whose features came with the request.
        latency_ms: percentiles over requests, by their names.
        shadow_agrees: share of apps to which a challenger gave the champion's label; None: none answered.
        features: of the model.
        drifted: share of the features beyond their limit.
        moved: those features, the worst first.
        trained_rows: apps of the training that they were held against.
    """

    by: Answering
    rows: int
    others: int
    shadow: int
    requests: int
    since: str
    until: str
    left_out: int
    days: tuple[TrafficDay, ...]
    score_edges: tuple[float, ...]
    scores: tuple[int, ...]
    missing: float
    unknown_apps: float
    sent: float
    latency_ms: dict[str, float]
    shadow_agrees: float | None
    features: int
    drifted: float
    moved: tuple[MovedFeature, ...]
    trained_rows: int
    synthetic: bool


def look(lake: Lake, *, since: str = "", most_rows: int = MOST_ROWS) -> Look | None:
    """The predictions that came into the lake since a commit of their branch; None: none came.

    Files are taken whole, the newest first, until they hold `most_rows`. Of one that was joined since from others, what
    these held at the look before is not taken again.
    """
    try:
        head = lake.resolve(BRANCH)
    except NotFoundError:
        return None
    new, seen = _new_files(lake, since, head)
    taken, rows, left_out = list[str](), 0, 0
    for path in reversed(new):
        count = _count(lake, head, path, seen)
        if taken and rows + count > most_rows:
            left_out += count
        elif count:
            taken.append(path)
            rows += count
    tables = tables_of(lake, head, files_in_order(taken))
    return Look(together([not_of(table, seen) for table in tables]), since, head, left_out) if rows else None


def _new_files(lake: Lake, since: str, head: CommitId) -> tuple[list[str], frozenset[str]]:
    """Paths of files that came since, oldest first; all, if nobody knows that commit any more.

    Returns:
        Beside them, if some of them hold files that were joined: the names of all that were there before.
    """
    prefix = f"{FOLDER}/"
    try:
        found = [each.path for each in lake.diff(since, head, prefix) if each.after] if since else None
    except NotFoundError:
        found = None
    paths = found if found is not None else [each.path for each in lake.list(head, prefix)]
    new = files_in_order([path for path in paths if path.endswith(".parquet")])
    if found is None or not any(is_joined(Path(path).stem) for path in new):
        return new, frozenset()
    return new, frozenset(Path(each.path).stem for each in lake.list(since, prefix))


def _count(lake: Lake, head: CommitId, path: str, seen: frozenset[str]) -> int:
    """Rows of a file that were not in one of those before."""
    from pyarrow import parquet

    with lake.open(head, path) as stream:
        if seen and is_joined(Path(path).stem):
            return not_of(parquet.read_table(stream, columns=["prediction_id"]), seen).num_rows
        return parquet.ParquetFile(stream).metadata.num_rows


def answering(rows: pa.Table) -> Answering:
    """The champion that gave most of these answers. Raises CalibrationError: none did."""
    import pyarrow.compute as pc

    told = ["artifact", "model", "model_version", "model_content", "lake_commit", "threshold"]
    champion = rows.filter(pc.field("role") == "champion").select(told)
    counted = champion.group_by(told).aggregate([([], "count_all")]).to_pylist()
    if not counted:
        raise CalibrationError("no champion has answered", hint="wait for traffic")
    most = max(counted, key=lambda one: (one["count_all"], one["lake_commit"]))
    return Answering(
        artifact=most["artifact"],
        model=most["model"],
        version=most["model_version"],
        content=most["model_content"],
        commit=most["lake_commit"],
        threshold=most["threshold"],
    )


def answers_of(rows: pa.Table, by: Answering) -> pa.Table:
    """The answers that were given by one model."""
    import pyarrow.compute as pc

    mine = (pc.field("role") == "champion") & (pc.field("lake_commit") == by.commit)
    return rows.filter(mine & (pc.field("model") == by.model) & (pc.field("artifact") == by.artifact))


def traffic_drift(mine: pa.Table, trained: Parts) -> FeatureDrift:
    """Drift of the apps that one model was asked about, against those that it was fitted on.

    Raises:
        InputError: the model was fitted on other features than it was asked with.
    """
    features = feature_names(mine, mine["schema"][0].as_py())
    return feature_drift(trained.training.columns(features), raw_values(mine, len(features)), features)


def traffic_report(
    found: Look, by: Answering, trained: Parts, *, known: pa.ChunkedArray, synthetic: bool
) -> TrafficReport:
    """What a look tells of one model.

    Args:
        by: see `answering`.
        trained: the apps as that model's training saw them.
        known: sha256 of every app that the training table holds.
        synthetic: whether these were generated.
    """
    import pyarrow.compute as pc

    mine, shadow = answers_of(found.rows, by), found.rows.filter(pc.field("role") == "challenger")
    drift = traffic_drift(mine, trained)
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    scores, _ = np.histogram(np.clip(mine["score"].to_numpy(), 0.0, 1.0), edges)
    requests = mine.group_by("request_id").aggregate([("latency_ms", "max")])
    latency = np.percentile(requests["latency_ms_max"].to_numpy(), _PERCENTILES)
    times = mine["time"].cast("int64").to_numpy()
    return TrafficReport(
        by=by,
        rows=mine.num_rows,
        others=found.rows.num_rows - mine.num_rows - shadow.num_rows,
        shadow=shadow.num_rows,
        requests=requests.num_rows,
        since=_moment(times.min()),
        until=_moment(times.max()),
        left_out=found.left_out,
        days=_days(times, mine["label"].to_numpy()),
        score_edges=tuple(round(edge, DIGITS) for edge in edges.tolist()),
        scores=tuple(scores.tolist()),
        missing=round(float(np.isnan(raw_values(mine, len(drift.features))).mean()), DIGITS),
        unknown_apps=round(float(np.mean(~np.isin(mine["sha256"].to_numpy(), known.to_numpy()))), DIGITS),
        sent=round(float(np.mean(np.array(mine["features_from"].to_pylist()) == REQUEST.name)), DIGITS),
        latency_ms={f"p{at}": round(float(value), 3) for at, value in zip(_PERCENTILES, latency, strict=True)},
        shadow_agrees=_agreement(mine, shadow),
        features=len(drift.features),
        drifted=round(drift.share, DIGITS),
        moved=moved_features(drift),
        trained_rows=drift.reference_rows,
        synthetic=synthetic,
    )


def raw_values(rows: pa.Table, width: int) -> NDArray[np.float32]:
    """The features that predictions were made of, shape ``(rows, width)``; NaN where a value was not known."""
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(rows.num_rows, width)


def moved_features(drift: FeatureDrift) -> tuple[MovedFeature, ...]:
    """The features that drifted, the worst first."""
    return tuple(
        MovedFeature(
            feature=drift.features[at],
            psi=round(float(drift.psi[at]), DIGITS),
            limit=round(float(drift.limit[at]), DIGITS),
            missing=round(float(drift.missing[at]), DIGITS),
            reference_missing=round(float(drift.reference_missing[at]), DIGITS),
        )
        for at in drift.worst(len(drift.features))
        if drift.drifted[at]
    )


def _days(times: NDArray[np.int64], labels: NDArray[Any]) -> tuple[TrafficDay, ...]:
    days, place = np.unique(times.astype("datetime64[us]").astype("datetime64[D]"), return_inverse=True)
    rows, alarms = np.bincount(place), np.bincount(place, weights=labels == 1)
    told = zip(days, rows, alarms, strict=True)
    return tuple(TrafficDay(day=str(day), rows=int(count), alarms=int(raised)) for day, count, raised in told)


def _agreement(mine: pa.Table, shadow: pa.Table) -> float | None:
    """Of apps that both were asked about in one request, the share with equal labels."""
    key = ["request_id", "sha256"]
    both = mine.select([*key, "label"]).join(shadow.select([*key, "label"]), key, join_type="inner", right_suffix="_2")
    same: Sequence[bool] = both["label"].to_numpy() == both["label_2"].to_numpy()
    return round(float(np.mean(same)), DIGITS) if both.num_rows else None


def _moment(microseconds: int) -> str:
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[s]")) + "Z"
