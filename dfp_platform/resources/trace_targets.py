"""What a person may name to trace it, and which asset at which commit is meant. `RESOLVERS` lists the kinds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dfp_platform.catalog import content_at
from dfp_platform.catalog.names import identifier_of, is_namespace, is_pointer, pointer_path
from dfp_platform.errors import InvalidNameError, NotFoundError
from dfp_platform.lake import Lake
from dfp_platform.resources.lineage import objects_of, records_of
from dfp_platform.schemas import Commit, CommitId, ObjectStat
from dfp_platform.serving.predictions import FOLDER, PredictionId, is_prediction_id
from dfp_platform.serving.versions import DATA_TAG
from dfp_platform.settings import settings

_MLFLOW_RUN = re.compile(r"[0-9a-f]{32}")
_VERDICTS = "checks/"


@dataclass(frozen=True, slots=True)
class Target:
    """What somebody named.

    Attributes:
        kind: which of `RESOLVERS` knew it.
        asset: the asset that is meant.
        commit: where it stands.
        file: the one object of it that was named, if one was.
        prediction: the one answer that was named, if one was: its row in the log, and under ``found`` where that is.
    """

    kind: str
    asset: str
    commit: CommitId
    file: ObjectStat | None = None
    prediction: Mapping[str, Any] | None = None


Resolver = Callable[[Lake, str, str], Target | None]
"""Takes a lake, what was named and a ref to look at; None: it is nothing of this kind."""


def resolve(lake: Lake, named: str, ref: str) -> Target:
    """The asset and commit that a person means; the first kind that knows the name wins.

    Raises:
        NotFoundError: no kind knows it; near names are told. InvalidNameError: it may mean several assets.
    """
    wanted = named.strip().rstrip("/")
    for resolver in RESOLVERS.values():
        if wanted and (found := resolver(lake, wanted, ref)):
            return found
    every = assets_at(lake, ref)
    tables = (".".join(identifier_of(asset)) for asset in every if is_pointer(asset))
    known = [*every, *tables, *lake.tags(), *(asset.split("/")[-1] for asset in every)]
    near = get_close_matches(wanted, known, n=3)
    kinds = f"name {', '.join(RESOLVERS)}; `dfp lake show {ref}` lists what is there"
    raise NotFoundError(
        f"{named!r} is nothing that the lake holds at {ref}",
        hint=f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else kinds,
        target=named,
    )


def model_tag(lake: Lake, named: str, ref: str) -> Target | None:
    """`model-<name>-v<n>-data`: the model as the tagged commit wrote it."""
    found = DATA_TAG.fullmatch(named)
    if found is None or named not in lake.tags():
        return None
    return Target("model tag", f"models/{found['name']}", lake.resolve(named))


def mlflow_run(lake: Lake, named: str, ref: str) -> Target | None:
    """The id of an MLflow run: the model that it trained."""
    if not _MLFLOW_RUN.fullmatch(named):
        return None
    from dfp_platform.models.tracked import tracked_run

    tracked = tracked_run(settings().mlflow_uri, named)
    asset = f"models/{tracked.model}"
    made = next((commit for commit in _history(lake, tracked.model) if _made(commit, tracked.run, asset)), None)
    if made is None:
        raise NotFoundError(
            f"the lake keeps no commit in which run {tracked.run or '(unknown)'} wrote {asset}",
            hint=f"its branch is gone, or it made bytes that stood there already: dfp trace {asset}",
            run=named,
        )
    return Target("MLflow run", asset, made.id)


def lake_path(lake: Lake, named: str, ref: str) -> Target | None:
    """A path: an asset, a file of one, or a folder that holds one."""
    head = lake.resolve(ref)
    found = objects_of(lake, head, named)
    if not found:
        return None
    owners = sorted({owner_of(lake, head, stat.path) for stat in found})
    if len(owners) > 1:
        raise _several(named, owners)
    return Target("path", owners[0], head, found[0] if found[0].path == named != owners[0] else None)


def table(lake: Lake, named: str, ref: str) -> Target | None:
    """A table as people name it, `marts.fct_training_dataset`."""
    if "/" in named or "." not in named.strip("."):
        return None
    path = pointer_path(tuple(named.strip(".").split(".")))
    return Target("table", path, lake.resolve(ref)) if content_at(lake, ref, path) else None


def last_name(lake: Lake, named: str, ref: str) -> Target | None:
    """The last part of one asset's path, `autoencoder_onnx`."""
    found = [asset for asset in assets_at(lake, ref) if asset.split("/")[-1] == named]
    if len(found) > 1:
        raise _several(named, found)
    return Target("name", found[0], lake.resolve(ref)) if found else None


def prediction(lake: Lake, named: str, ref: str) -> Target | None:
    """The id of a prediction: the artifact that answered, at the commit of the lake that it was loaded from."""
    if not is_prediction_id(named):
        return None
    from dfp_platform.serving.prediction_files import find_prediction

    row, commit = find_prediction(lake, PredictionId.parse(named), spool=settings().home / FOLDER)
    found = f"commit {commit}" if commit else "the spool of this machine"
    return Target("prediction", row["artifact"], CommitId(row["lake_commit"]), prediction={**row, "found": found})


RESOLVERS: dict[str, Resolver] = {
    "the id of a prediction": prediction,
    "a lake tag of a model": model_tag,
    "the id of an MLflow run": mlflow_run,
    "a path": lake_path,
    "a table": table,
    "the last part of an asset's path": last_name,
}
"""The kinds of targets, in the order in which they are asked. Another kind is one function and one line here."""


def assets_at(lake: Lake, ref: str) -> list[str]:
    """The assets that stand at a ref, by the form of their paths: a table's pointer, else the first two parts."""
    paths = (found.path for found in lake.list(ref))
    return sorted({_by_form(p) for p in paths if not (p.startswith((_VERDICTS, "_run/")) or is_namespace(p))})


def owner_of(lake: Lake, ref: str, path: str) -> str:
    """The asset that an object belongs to: the one for which it was written, else what the form of its path says."""
    recorded = records_of(lake.provenance(ref, path))
    above = [asset for asset in recorded if path == asset or path.startswith(f"{asset}/")]
    return max(above, key=len) if above else _by_form(path)


def _by_form(path: str) -> str:
    return path if is_pointer(path) or path.startswith(_VERDICTS) else "/".join(path.split("/")[:2])


def _several(named: str, assets: list[str]) -> InvalidNameError:
    return InvalidNameError(f"{named} may mean several assets", hint=f"choose: {', '.join(assets)}", name=named)


def _history(lake: Lake, model: str) -> Iterator[Commit]:
    """Commits that may have written a model: those its tags name, then every branch's, each once."""
    seen: set[str] = set()
    tags = (commit for tag, commit in lake.tags().items() if (m := DATA_TAG.fullmatch(tag)) and m["name"] == model)
    for commit in tags:
        yield lake.show(commit)
    for head in lake.branches().values():
        for commit in lake.log(head):
            if commit.id in seen:
                continue
            seen.add(commit.id)
            yield commit


def _made(commit: Commit, run: str, asset: str) -> bool:
    return bool(run) and commit.metadata.get("run") == run and asset in records_of(commit)
