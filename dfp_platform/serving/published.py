"""The published model that scores apps, by the alias that the lake gives it, and files of raw apps scored by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfp_platform.catalog import content_at
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.mobile.artifact import CARD, MobileCard, artifact_name
from dfp_platform.models.weights import NETWORK_WEIGHTS, REFERENCE_WEIGHTS
from dfp_platform.serving.versions import reign_at, versions

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.lake import Lake
    from dfp_platform.schemas import CommitId

MODEL = "autoencoder"
"""The model that scores unless another one is named."""

Alias = Literal["champion", "challenger", "latest"]
"""Which version of a model: the one that reigns, the one beside it, or the one that stands on the branch."""


@dataclass(frozen=True, slots=True, eq=False)
class PublishedModel:
    """One version of a model as its ONNX export.

    Attributes:
        model: the noun of `models/`.
        number: counts the model's versions in this lake, from 1; None: the lake has no data tag of it.
        content: content id of the model's files; empty: the export alone lies in the lake.
        path: where the export lies.
        commit: a state of the lake that holds it: the head if it stands there, else the newest publication that did.
        files: the export, see `mobile.artifact.MobileArtifact`.
    """

    model: str
    number: int | None
    content: str
    path: str
    commit: CommitId
    files: Mapping[str, bytes]

    @property
    def version(self) -> str:
        """For people: `v3`; the start of its digest where the lake does not count it."""
        return f"v{self.number}" if self.number else self.digest[:12]

    @property
    def digest(self) -> str:
        """Digest of the export, hex: equal files are equal models."""
        told = hashlib.sha256()
        for name, data in sorted(self.files.items()):
            told.update(f"{name}\0{len(data)}\0".encode() + data)
        return told.hexdigest()


def published(lake: Lake, ref: str, model: str = MODEL, alias: Alias = "latest") -> PublishedModel:
    """The version of a model that an alias names at a ref, exported.

    The latest is the export that stands there. A champion that nobody crowned yet is the latest.

    Raises:
        NotFoundError: no such model, no challenger, or no export of that version in the history of the ref.
    """
    head = lake.resolve(ref)
    path = f"mobile/{artifact_name(model, 'onnx')}"
    content = _named(lake, head, model, alias)
    wanted = _weights_of(lake, head, model, content) if content else ""
    for commit in _history(lake, head, f"{path}/{CARD}") if content else [head]:
        card = _card(lake, commit, path)
        if card is None or (content and card.weights_sha256 != wanted):
            continue
        stands = content or _standing(lake, head, model, card)
        number = next((each.number for each in versions(lake, model) if each.content == stands), None)
        return PublishedModel(model, number, stands, path, commit, lake.files(commit, path))
    raise NotFoundError(
        f"no export of the {alias} of {model} is published at {ref} ({head[:12]})",
        hint=f"run `make demo` first, export it (asset {path}), or name another ref or model",
        path=path,
        ref=ref,
    )


def _named(lake: Lake, head: CommitId, model: str, alias: Alias) -> str:
    """Content id of the version that an alias names; empty: whichever stands there."""
    reign = reign_at(lake, head, model) if alias != "latest" else None
    if alias == "challenger":
        if reign is None or reign.challenger is None:
            raise NotFoundError(
                f"{model} has no challenger", hint=f"dfp models show {model} tells who reigns", model=model
            )
        return reign.challenger.content
    return reign.content if reign else ""


def _standing(lake: Lake, head: CommitId, model: str, card: MobileCard) -> str:
    """Content id of the model at the head if the export is of it; empty: it is not, or the model is not there."""
    return content_at(lake, head, f"models/{model}") if _weights(lake, head, model) == card.weights_sha256 else ""


def _card(lake: Lake, commit: CommitId, path: str) -> MobileCard | None:
    try:
        return MobileCard.from_json(lake.read(commit, f"{path}/{CARD}"))
    except NotFoundError:
        return None


def _weights_of(lake: Lake, head: CommitId, model: str, content: str) -> str:
    """Digest of the weights of one version: at the head if it stands there, else at its data tag."""
    if content_at(lake, head, f"models/{model}") == content:
        return _weights(lake, head, model)
    tagged = next((each.commit for each in versions(lake, model) if each.content == content), None)
    if tagged is None:
        raise NotFoundError(
            f"the lake has no data tag of {model} {content[:12]}, which it names",
            hint=f"dfp models list tells versions; crown one that is there: dfp models promote {model}",
            model=model,
        )
    return _weights(lake, tagged, model)


def _weights(lake: Lake, commit: CommitId, model: str) -> str:
    """Digest of a model's weights at a commit; empty where it has none there."""
    wanted = {f"models/{model}/{name}" for name in (NETWORK_WEIGHTS, REFERENCE_WEIGHTS)}
    return next((found.sha256 for found in lake.list(commit, f"models/{model}/") if found.path in wanted), "")


def _history(lake: Lake, head: CommitId, path: str) -> Iterator[CommitId]:
    """The head, then the commits that wrote to a path, newest first."""
    yield head
    yield from (commit.id for commit in lake.log(head, path=path))


def score_file(model: Mapping[str, bytes], file: Path) -> pa.Table:
    """Scores of the raw apps in a file: a KronoDroid CSV, or a zip that holds one; read block by block.

    Returns:
        ``sha256``, ``score`` (within 0 and 1, more is more suspicious), ``label`` (1 raises an alarm),
        ``reconstruction_error``, in the file's order.
    Raises:
        InputError: no such file, or rows that break the contract.
    """
    import pyarrow as pa

    from dfp_platform.ingest import landed_rows
    from dfp_platform.mobile.scoring import score_table

    if not file.is_file():
        raise InputError(f"{file} is not a file", hint="give the path of a KronoDroid CSV", file=str(file))
    return pa.concat_tables(score_table(model, rows) for rows in landed_rows(file))
