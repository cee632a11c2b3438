"""What is known of a prediction: its id, its row, and the file of the lake that the id leads to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple

from dfp_platform.errors import InvalidNameError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

BRANCH = "predictions"
"""The branch of the lake for predictions. Born at the lake's first commit, it keeps nothing else alive."""

FOLDER = "predictions"
"""Where they lie: on that branch, and, until they are there, in the state folder of the machine that answered."""

_NAME = r"(?P<file>(?P<stamp>\d{14})-[a-z2-7]{8})"
_ID = re.compile(rf"p-{_NAME}-(?P<row>\d{{6}})")
_STAMP = "%Y%m%d%H%M%S"
_JOINED = "joined-"


class Origin(NamedTuple):
    """Where the features of one app came from.

    Attributes:
        name: ``request``, or the name of the online version that they were read from.
        commit: the commit of the lake that this version was made at; empty: they came with the request.
    """

    name: str
    commit: str = ""


REQUEST = Origin("request")
"""Features that came with the request itself."""


@dataclass(frozen=True, eq=False)
class Answerer:
    """The model that answers, as it was loaded. Make one per loaded model and hand the same one over every time.

    Attributes:
        artifact: path in the lake of what was loaded, ``mobile/autoencoder_onnx``.
        model: noun of the model, ``autoencoder``.
        version: number that the registry gave it; empty if it has none.
        content: content id of the artifact.
        commit: the commit of the lake that it was read at.
        threshold: score at which a row is called malware.
        features: names of a vector's elements, in order.
        role: whether its answer was given, or only logged (shadow).
    """

    artifact: str
    model: str
    version: str
    content: str
    commit: str
    threshold: float
    features: tuple[str, ...]
    role: Literal["champion", "challenger"] = "champion"

    @cached_property
    def schema(self) -> str:
        """Names the order of the features: equal schemas are equal names in equal order."""
        return sha256("\n".join(self.features).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one model answered to one request, app by app.

    Attributes:
        by: the model.
        request: id of the request.
        sha256: the apps; empty for one that was not named.
        vectors: raw feature values as the model took them, float32 of shape ``(apps, features)``; NaN: unknown.
        scores: float32 of shape ``(apps,)``, and so the labels (1 raises an alarm) and the reconstruction errors
            (NaN for a model that has none).
        origins: where the features came from: of all apps, or app by app.
        latency_ms: from the request's arrival to the answer, as far as is known when it is logged.
    """

    by: Answerer
    request: str
    sha256: Sequence[str]
    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.integer]
    errors: NDArray[np.float32]
    latency_ms: float
    origins: Origin | Sequence[Origin] = REQUEST


@dataclass(frozen=True, slots=True)
class PredictionId:
    """Names one prediction: ``p-20261126123456-k3f9x2ab-000017`` is row 17 of the file 20261126123456-k3f9x2ab.

    Ids sort by when their file was begun (UTC, to the second), then by writer, then by row. The writer is 40 random
    bits, so that no two processes or machines give the same id.
    """

    file: str
    row: int

    def __str__(self) -> str:
        return f"p-{self.file}-{self.row:06d}"

    @property
    def path(self) -> str:
        """Where the file lies on the branch of predictions."""
        return lake_path(self.file)

    @staticmethod
    def parse(text: str) -> PredictionId:
        """The id that a text is. Raises InvalidNameError: it is none."""
        found = _ID.fullmatch(text)
        if found is None:
            raise InvalidNameError(
                f"{text!r} is no id of a prediction",
                hint="one looks like p-20261126123456-k3f9x2ab-000017",
                name=text,
            )
        return PredictionId(found["file"], int(found["row"]))


def is_prediction_id(text: str) -> bool:
    """Whether a text has the form of a prediction's id."""
    return _ID.fullmatch(text) is not None


def lake_path(file: str) -> str:
    """Where a file of predictions lies on their branch: ``predictions/2026-11-26/20261126123456-k3f9x2ab.parquet``."""
    return f"{FOLDER}/{file[:4]}-{file[4:6]}-{file[6:8]}/{file}.parquet"


def joined_path(first: str) -> str:
    """Where several files of one day lie as one, named by the first of them."""
    day, name = lake_path(first).rsplit("/", 1)
    return f"{day}/{_JOINED}{name}"


def is_joined(file: str) -> bool:
    """Whether a file of that name holds several."""
    return file.startswith(_JOINED)


def file_name(begun: datetime, writer: str) -> str:
    """The name of a file of predictions, by when it was begun and by whom it is written."""
    return f"{begun.astimezone(UTC).strftime(_STAMP)}-{writer}"


def is_file_name(text: str) -> bool:
    """Whether a text could name a file of predictions."""
    return re.fullmatch(_NAME, text) is not None


def begun_at(file: str) -> datetime:
    """When a file of that name, or the first that it holds, was begun, UTC. Raises InvalidNameError: it is not ours."""
    found = re.fullmatch(_NAME, file.removeprefix(_JOINED))
    if found is None:
        raise InvalidNameError(f"{file} is no file of predictions", hint="leave it where it is", name=file)
    return datetime.strptime(found["stamp"], _STAMP).replace(tzinfo=UTC)


def prediction_schema() -> pa.Schema:
    """Columns of the log. Names of the vectors' elements are in the file's metadata, under `names_key` of `schema`."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("prediction_id", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("request_id", pa.string()),
            ("sha256", pa.string()),
            ("features_from", text),
            ("features_commit", text),
            ("score", pa.float32()),
            ("label", pa.int8()),
            ("reconstruction_error", pa.float32()),
            ("threshold", pa.float64()),
            ("artifact", text),
            ("model", text),
            ("model_version", text),
            ("model_content", text),
            ("lake_commit", text),
            ("role", text),
            ("latency_ms", pa.float32()),
            ("schema", text),
            ("vector", pa.list_(pa.float32())),
        ]
    )


PARTS_KEY = b"dfp.parts"
"""Key in a joined file's metadata of the names, as JSON, of the files that it holds."""


def names_key(schema: str) -> bytes:
    """Key in a file's metadata of the names, as JSON, of vectors of one schema."""
    return f"dfp.features.{schema}".encode()
