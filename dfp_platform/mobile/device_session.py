"""What goes to a phone: artifacts and rows of one commit of the lake, and the scores that the phone should find."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.mobile.artifact import CARD, MobileArtifact
from dfp_platform.mobile.device import RUNTIMES
from dfp_platform.mobile.interface import EXPORTERS

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.models.data import TrainingData

ROOM = "mobile/"
ROWS = 256
"""Apps that are pushed: the queries ask about each in turn."""


@dataclass(frozen=True, slots=True)
class PhoneSession:
    """What is pushed together.

    Attributes:
        name: its folder on the device; begins with its time.
        artifacts: by the noun of their lake path.
        files: path beneath the folder → bytes.
    """

    name: str
    artifacts: Mapping[str, MobileArtifact]
    files: Mapping[str, bytes]


def artifacts_at(lake: Lake, commit: str) -> dict[str, MobileArtifact]:
    """Every exported model at a commit, by the noun of its lake path.

    Raises:
        NotFoundError: there is none.
    """
    files: dict[str, dict[str, bytes]] = {}
    for stat in lake.list(commit, ROOM):
        name, _, file = stat.path.removeprefix(ROOM).partition("/")
        files.setdefault(name, {})[file] = lake.read(commit, stat.path)
    artifacts = {name: content for name, content in sorted(files.items()) if CARD in content}
    if not artifacts:
        raise NotFoundError(
            f"no exported model is published at {commit[:12]}", hint="run `make demo` or `dfp export` first", path=ROOM
        )
    return {name: MobileArtifact.from_files(content) for name, content in artifacts.items()}


def runtime_of(artifact: MobileArtifact) -> str:
    """The runtime that takes the artifact's model file. Raises InputError: none does."""
    suffix = artifact.model.rpartition(".")[2]
    if suffix not in RUNTIMES:
        raise InputError(
            f"no runtime of the Android lab takes {artifact.model} of {artifact.card.name}",
            hint="docs/android_lab.md says how a runtime is added",
            file=artifact.model,
        )
    return RUNTIMES[suffix]


def selected(
    artifacts: Mapping[str, MobileArtifact], *, wanted: Sequence[str], built: Iterable[str]
) -> tuple[dict[str, MobileArtifact], list[str]]:
    """The artifacts to measure, and the names of those that the app lacks a runtime for.

    Args:
        wanted: runtimes; none: all.
        built: runtimes of the app.
    Raises:
        InputError: a runtime that does not exist, or one asked for that the app lacks.
    """
    known = sorted(RUNTIMES.values())
    for name in wanted:
        if name not in known or name not in built:
            raise InputError(
                f"the app has no runtime {name}",
                hint=f"the app has: {', '.join(sorted(built))}; there are: {', '.join(known)} (Gradle builds all)",
            )
    mine = {name: a for name, a in artifacts.items() if not wanted or runtime_of(a) in wanted}
    kept = {name: a for name, a in mine.items() if runtime_of(a) in built}
    if not kept:
        raise InputError(
            f"no artifact of the lake runs on this app: it has {', '.join(sorted(built))}",
            hint="export models for that runtime first: dfp export",
        )
    return kept, [name for name in mine if name not in kept]


def unseen_apps(lake: Lake, commit: str, model: str) -> TrainingData:
    """Apps that a model was not trained on: the test part of its own split, at a commit."""
    from dfp_platform.catalog import open_catalog
    from dfp_platform.models.data import placed
    from dfp_platform.models.parts import parts
    from dfp_platform.models.weights import read_card

    told = read_card(lake.files(commit, f"models/{model}"))
    catalog = open_catalog(lake, commit)
    dataset, places = (
        catalog.load_table(f"marts.{name}").scan().to_arrow() for name in ("fct_training_dataset", "split_index")
    )
    return parts(placed(dataset, places), told.configuration.data, told.configuration.split).test


def phone_session(
    artifacts: Mapping[str, MobileArtifact],
    apps: TrainingData,
    *,
    name: str,
    commit: str,
    champion_model: str,
    rows: int = ROWS,
) -> PhoneSession:
    """A session of these artifacts over the first `rows` apps, with the scores that this computer's runtimes find."""
    apps = apps.take(slice(0, rows))
    features = list(dict.fromkeys(feature for a in artifacts.values() for feature in a.card.features))
    about = {"lake_commit": commit, "champion_model": champion_model, "artifacts": list(artifacts)}
    files = {"session.json": json.dumps(about, indent=1).encode(), "rows.csv": _rows_csv(apps, features)}
    for noun, artifact in artifacts.items():
        runtime = EXPORTERS[artifact.card.exporter].load(artifact)
        scores = runtime.score(apps.columns(artifact.card.features))
        expected = "".join(f"{score!s}\n" for score in scores)
        files |= {f"{noun}/{file}": content for file, content in artifact.files.items()}
        files[f"{noun}/expected.csv"] = f"score\n{expected}".encode()
    return PhoneSession(name, artifacts, files)


def _rows_csv(apps: TrainingData, features: Sequence[str]) -> bytes:
    """``sha256,package,<features>``; an unknown value is an empty cell, a package's name keeps no comma or quote."""
    import pyarrow as pa
    import pyarrow.csv

    matrix = apps.columns(features)
    packages = [re.sub(r'[",\s]+', " ", str(package)) for package in apps.packages]
    columns = [pa.array([str(app) for app in apps.ids]), pa.array(packages)]
    columns += [pa.array(np.ascontiguousarray(matrix[:, i]), from_pandas=True) for i in range(matrix.shape[1])]
    table = pa.table(dict(zip(["sha256", "package", *features], columns, strict=True)))
    out = io.BytesIO()
    out.write((",".join(table.column_names) + "\n").encode())
    pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))
    return out.getvalue()
