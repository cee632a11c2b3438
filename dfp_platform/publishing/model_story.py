"""What the lake and MLflow tell of a model's versions: for people who choose between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.presets import model_name
from dfp_platform.models.registration import Registered
from dfp_platform.serving.versions import Version, files_of, reign_at, trained_models, versions

if TYPE_CHECKING:
    from dfp_platform.models.champions import Reign

EVALUATION = "models/evaluation/report.json"
FIGURES = ("roc_auc", "average_precision")
_SHORTEST = 6
"""Letters of a content id that name it at least."""


@dataclass(frozen=True, slots=True)
class Told:
    """One version of a model, told for people.

    Attributes:
        model: the model's noun.
        version: ``v2``; counts in this lake.
        aliases: of `champion`, `challenger`, `published` (stands on the branch).
        content: content id of its files.
        tag: lake tag of its exact inputs.
        commit: the commit that the tag names.
        made: when that was.
        bytes: size of its files.
        roc_auc: on apps newer than it was trained on. None: unknown.
        average_precision: likewise.
        figures_of: `evaluation` (mean over seeds, of what stands on the branch) or `training` (itself alone, as MLflow
            has it); empty: there are none.
        mlflow_version: what MLflow calls it; None: MLflow does not know it, or was not asked.
        mlflow_run: id of its training in MLflow.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    content: str
    tag: str
    commit: str
    made: datetime
    bytes: int
    roc_auc: float | None
    average_precision: float | None
    figures_of: str
    mlflow_version: str | None
    mlflow_run: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """A model: who reigns and why, and every version, the newest first."""

    model: str
    reign: Reign | None
    versions: tuple[Told, ...]


def known_models(lake: Lake, ref: str) -> list[str]:
    """Models that stand at a ref or were ever published."""
    return sorted({*trained_models(lake, ref), *(version.model for version in versions(lake))})


def named_model(lake: Lake, ref: str, name: str) -> str:
    """A model by its name, or by the preset that made it of real devices' apps.

    Raises:
        NotFoundError: there is none; the nearest is named.
    """
    known, made = known_models(lake, ref), model_name(name, "real_device")
    if name not in known:
        if made in known:
            return made
        raise NotFoundError(f"no model is called {name}", hint=_nearest(name, known), model=name)
    return name


def story_of(lake: Lake, ref: str, name: str, registered: Mapping[str, Registered]) -> Story:
    """What is known of a model.

    Args:
        ref: where it is looked for what stands and who reigns.
        registered: what MLflow knows, by content id; empty where it was not asked.
    Raises:
        NotFoundError: no such model.
    """
    named_model(lake, ref, name)
    standing, reign = content_at(lake, ref, f"models/{name}"), reign_at(lake, ref, name)
    told = [
        _told(lake, ref, version, aliases_of(version.content, standing, reign), registered.get(version.content))
        for version in reversed(versions(lake, name))
    ]
    return Story(name, reign, tuple(told))


def aliases_of(content: str, standing: str, reign: Reign | None) -> tuple[str, ...]:
    """What a content is called: as the lake says, and as MLflow's aliases follow it."""
    champion = reign.content if reign else standing
    return tuple(
        name
        for name, holds in (
            ("champion", content == champion),
            ("challenger", content == standing != champion),
            ("published", content == standing),
        )
        if holds
    )


def chosen_version(lake: Lake, ref: str, name: str, which: str) -> Version:
    """A version of a model by its number (`v2`, `2`), alias, data tag, or the beginning of its content id.

    Raises:
        NotFoundError: no such model or version; what there is is told.
    """
    named_model(lake, ref, name)
    known = versions(lake, name)
    standing, reign = content_at(lake, ref, f"models/{name}"), reign_at(lake, ref, name)
    for version in known:
        if which in (f"v{version.number}", str(version.number), version.tag):
            return version
    for version in known:
        if which in aliases_of(version.content, standing, reign):
            return version
    if len(which) >= _SHORTEST:
        for version in known:
            if version.content.startswith(which):
                return version
    told = [f"v{v.number} ({v.content[:12]})" for v in known]
    raise NotFoundError(
        f"{name} has no version {which}",
        hint=f"there are: {', '.join(told) or 'none; publish one first'}; see dfp models show {name}",
        model=name,
        version=which,
    )


def _told(lake: Lake, ref: str, version: Version, aliases: tuple[str, ...], known: Registered | None) -> Told:
    evaluated = _evaluated(lake, ref, version.model) if "published" in aliases else {}
    trained = {name: known.metrics[f"test_{name}"] for name in FIGURES if known and f"test_{name}" in known.metrics}
    figures, prefix = evaluated or trained, f"models/{version.model}/"
    return Told(
        model=version.model,
        version=f"v{version.number}",
        aliases=aliases,
        content=version.content,
        tag=version.tag,
        commit=version.commit,
        made=lake.show(version.commit).time,
        bytes=sum(stat.size for stat in lake.list(version.commit, prefix)),
        mlflow_version=known.version if known else None,
        mlflow_run=known.run_id if known else None,
        figures_of="evaluation" if evaluated else "training" if trained else "",
        **{name: figures.get(name) for name in FIGURES},
    )


def _evaluated(lake: Lake, ref: str, name: str) -> dict[str, float]:
    """Figures of what stands at a ref, from its evaluation; empty where that tells none."""
    from dfp_platform.models.evaluation import EvaluationReport

    report = EvaluationReport.found_in(lake.read(ref, EVALUATION)) if lake.exists(ref, EVALUATION) else None
    judged = report.models.get(name) if report else None
    found = {figure: getattr(judged.overall, figure) for figure in FIGURES} if judged else {}
    return {figure: value for figure, value in found.items() if value is not None}


def model_files(lake: Lake, ref: str, version: Version) -> Mapping[str, bytes]:
    """The files of a version. Raises NotFoundError: its data tag names a commit without them."""
    found = files_of(lake, ref, version.model, version.content) if version.content else None
    if found is None:
        raise NotFoundError(
            f"the files of {version.model} v{version.number} are not at its tag {version.tag}",
            hint="the tag names another commit than the one that wrote them; name another version",
            tag=version.tag,
        )
    return found


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=2)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are: {', '.join(known)}" if known else "train one first: dfp train"
