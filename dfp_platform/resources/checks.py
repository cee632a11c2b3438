"""What every check says beside its verdict: the commit that it judged, its figure in words, how that went before.

All of it is metadata of Dagster's record. The verdict that lies in the lake knows only content, figure and limit.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from itertools import islice
from types import MappingProxyType
from typing import Any

import dagster as dg

from dfp_platform.errors import NotFoundError
from dfp_platform.lake import open_lake
from dfp_platform.lake.ownership import OWNER_PATH
from dfp_platform.resources.dagster_internals import path_of
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.links import place_of
from dfp_platform.resources.verdicts import Publication, publications
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings

ROWS, COLUMNS, LETTERS = 10, 8, 80
"""A sample has at most so many rows and columns, and a cell so many letters."""

SHOWN, LOOKED_AT = 10, 40
"""Publications on a check's chart, and commits of the branch among which they are looked for."""

PLOT = "figure over publications"
"""Name of the chart in a check's metadata."""

Judge = Callable[..., dg.AssetCheckResult]


def asset_check(
    *, asset: Sequence[str], name: str, description: str = "", **declared: Any
) -> Callable[[Judge], dg.AssetChecksDefinition]:
    """As `dagster.asset_check`, of a function that may ask for the resource `lake`; what it says is `completed`.

    Args:
        asset: key path of the asset.
        description: for people; else the function's docstring.
        declared: whatever else `dagster.asset_check` takes.
    """

    def defined(judge: Judge) -> dg.AssetChecksDefinition:
        told = description or inspect.getdoc(judge)
        return dg.asset_check(asset=asset, name=name, description=told, **declared)(_with_lake(judge, asset, name))

    return defined


def _with_lake(judge: Judge, asset: Sequence[str], name: str) -> Judge:
    """The function with `lake` among its parameters, as Dagster reads them."""
    own = inspect.signature(judge).parameters

    @wraps(judge)
    def completing(lake: LakeResource, **inputs: Any) -> dg.AssetCheckResult:
        said = judge(**inputs, **({"lake": lake} if "lake" in own else {}))
        return completed(lake, said, asset="/".join(asset), check=name)

    first = inspect.Parameter("lake", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=LakeResource)
    others = [parameter for parameter in own.values() if parameter.name != "lake"]
    vars(completing)["__signature__"] = inspect.Signature([first, *others])
    completing.__annotations__ = {**judge.__annotations__, "lake": LakeResource}
    return completing


def completed(
    lake: LakeResource,
    said: dg.AssetCheckResult,
    *,
    asset: str = "",
    check: str = "",
    also: Mapping[str, dg.MetadataValue[Any]] = MappingProxyType({}),
) -> dg.AssetCheckResult:
    """What a check said, with the commit that it judged, a sentence, its lists as tables, and its chart.

    Args:
        asset: path of the asset, where the result does not name it; and so for `check`.
        also: more metadata.
    """
    given = {**said.metadata, **also}
    about = (path_of(said.asset_key) if said.asset_key else asset, said.check_name or check)
    stated = {name: shown for name, value in given.items() if (shown := _shown(value)) is not None}
    figure, limit = (_number(given.get(name)) for name in ("figure", "limit"))
    unit = given.get("unit")
    if figure is not None and (plot := _plot(lake, about, figure, limit)):
        stated[PLOT] = plot
    commit = _judged(lake.uri, lake.store.resolve(lake.ref))
    stated["lake/commit"] = dg.MetadataValue.text(commit)
    if about[0]:
        stated["lake/files"] = dg.MetadataValue.url(place_of(settings(), commit, about[0]))
    return dg.AssetCheckResult(
        passed=said.passed,
        asset_key=said.asset_key,
        check_name=said.check_name,
        severity=said.severity,
        description=said.description or in_words(figure, limit, str(unit.value) if unit else ""),
        metadata=stated,
    )


def in_words(figure: float | None, limit: float | None, unit: str) -> str | None:
    """What was measured, its figure and its limit as one line; None: there is no figure."""
    if figure is None:
        return None
    against = "" if limit is None else f", limit {limit:.4g}"
    return f"{unit[:1].upper()}{unit[1:] or 'Figure'}: {figure:.4g}{against}"


def sample(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue | None:
    """Some rows as a table of bounded size; None where there is none."""
    shown = [row for row, _ in zip(rows, range(ROWS), strict=False)]
    if not shown:
        return None
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(row[name]) for name in list(row)[:COLUMNS]}) for row in shown]
    )


def _shown(value: Any) -> Any:
    """A flat JSON object as a table of names and values; an empty one not at all."""
    if not isinstance(value, dg.JsonMetadataValue) or not isinstance(value.data, Mapping):
        return value
    if any(isinstance(each, Mapping | list) for each in value.data.values()):
        return value
    return sample({"name": name, "value": each} for name, each in value.data.items())


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, bool | int | float):
        return value
    text = "" if value is None else str(value)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _number(value: Any) -> float | None:
    stated = getattr(value, "value", None)
    return float(stated) if isinstance(stated, int | float) else None


def _plot(
    lake: LakeResource, about: tuple[str, str], figure: float, limit: float | None
) -> dg.MarkdownMetadataValue | None:
    """The check's figure over the publications of the branch, and now; None where it was and is 0."""
    from dfp_platform.reports.check_charts import history_chart
    from dfp_platform.reports.standalone import as_markdown

    told = [(one.commit[:7], one.verdicts[about]) for one in _history(lake) if about in one.verdicts]
    points = [*((name, verdict.figure) for name, verdict in told), ("now", figure)]
    if not any(one for _, one in points):
        return None  # nothing was ever found
    chart = history_chart(points, limit=limit, title=about[1])
    return dg.MetadataValue.md(as_markdown(chart, title=f"{about[1]} over publications"))


def _history(lake: LakeResource) -> tuple[Publication, ...]:
    """The newest publications of the branch that a run compares itself with; none where there is no such branch."""
    try:
        return _published(lake.uri, lake.store.resolve(lake.branch))
    except NotFoundError:
        return ()


@lru_cache(maxsize=1)
def _judged(uri: str, head: CommitId) -> CommitId:
    """The newest commit that is more than a run's marker on its branch: markers go with the branch, results stay."""
    lake = open_lake(uri)
    for commit in islice(lake.log(head), LOOKED_AT):
        if any(each.path != OWNER_PATH for parent in commit.parents[:1] for each in lake.diff(parent, commit.id)):
            return commit.id
    return head


@lru_cache(maxsize=1)
def _published(uri: str, head: CommitId) -> tuple[Publication, ...]:
    return tuple(publications(open_lake(uri), head, most=SHOWN, looked_at=LOOKED_AT))
