"""`dfp models`: versions of models, who reigns and why, how two compare, and promotion by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.lake import do_what_follows, opened
from dfp_platform.cli.questions import AtRef
from dfp_platform.cli.screen import Json, err, out, print_json, print_table, size
from dfp_platform.errors import InputError, NotFoundError, UnreachableError
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.models.card import ModelCard
    from dfp_platform.models.registration import Registered
    from dfp_platform.publishing.model_story import Story, Told
    from dfp_platform.serving.versions import Version

app = typer.Typer(help="Versions of models: which one reigns, how two compare, promotion.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A model, such as autoencoder, or the preset that made it: vae.", metavar="NAME")
]
Which = Annotated[
    str, typer.Argument(help="NAME, NAME@v2, NAME@challenger or NAME@CONTENT; a bare NAME is its champion.")
]


@app.command("list")
def list_(ref: AtRef = MAIN, as_json: Json = False) -> None:
    """Every model: its champion, its challenger, and how good they are."""
    from dfp_platform.publishing.model_story import known_models

    lake = opened()
    stories = [_story(lake, ref, name) for name in known_models(lake, ref)]
    if as_json:
        return print_json([_plain(story) for story in stories])
    rows = [(story.model, len(story.versions), *_of(story, "champion"), *_of(story, "challenger")) for story in stories]
    columns = ["model", "versions", "champion", "ROC-AUC", "AP", "challenger", "ROC-AUC", "AP"]
    return print_table(columns, rows)


@app.command()
def show(name: Name, ref: AtRef = MAIN, as_json: Json = False) -> None:
    """One model: who reigns and why, and every version with its figures, size and commit.

    Content, data tag, MLflow's version and what the figures are of are told by --json.
    """
    from dfp_platform.publishing.model_story import named_model

    lake = opened()
    story = _story(lake, ref, named_model(lake, ref, name))
    if as_json:
        return print_json(_plain(story))
    if story.reign is not None:
        reign = story.reign
        out().print(f"champion since {reign.since:%Y-%m-%d %H:%M:%S} UTC: {reign.reason}")
        if reign.challenger is not None:
            out().print(f"challenger: {reign.challenger.reason}")
    columns = ["version", "alias", "made (UTC)", "ROC-AUC", "AP", "size", "commit"]
    return print_table(columns, [_row(told) for told in story.versions])


@app.command()
def compare(one: Which, other: Which, ref: AtRef = MAIN, as_json: Json = False) -> None:
    """Two versions: what they were told differently, and which ranks newer apps better, with an interval.

    Both are asked about the apps of the table at --ref that are newer than all that either was fitted on.
    """
    from dfp_platform.publishing.model_story import model_files

    lake = opened()
    pair = [_version(lake, ref, said) for said in (one, other)]
    files = [model_files(lake, ref, version) for version in pair]
    names = [f"{version.model} v{version.number}" for version in pair]
    told = [_told(lake, ref, version) for version in pair]
    configuration, difference, reason = _compared(lake, ref, files)
    if as_json:
        figures = {name: [getattr(each, name) for each in told] for name in ("roc_auc", "average_precision")}
        held = difference.model_dump(mode="json") if difference else None
        answer = {"models": names, "configuration": configuration, "figures": figures, "difference": held}
        return print_json({**answer, "not_compared": reason})
    rows = [
        *((key, *values) for key, values in configuration.items()),
        ("ROC-AUC", *(_figure(each.roc_auc) for each in told)),
        ("average precision", *(_figure(each.average_precision) for each in told)),
        ("by", *(each.figures_of for each in told)),
    ]
    print_table(["", *names], rows, for_people=True)
    if difference is None:
        return out().print(f"not compared: {reason}")
    word = "better" if difference.better else "worse" if difference.high < 0 else "not different beyond chance"
    return out().print(f"{names[1]} is {word}: {difference.in_words()}")


@app.command()
def promote(
    name: Name,
    version: Annotated[
        str, typer.Argument(help="v2, a data tag or the beginning of a content id; the challenger unless given.")
    ] = "challenger",
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept in the lake.")] = "",
    branch: Annotated[
        str | None, typer.Option(help="The branch it reigns on; the configured one unless given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion by hand, in one commit; aliases and services follow. `dfp lake revert` undoes it."""
    from dfp_platform.publishing.champions import promote as crown
    from dfp_platform.publishing.model_story import chosen_version, model_files, named_model
    from dfp_platform.publishing.truth import tell_truth
    from dfp_platform.settings import settings

    lake, target = opened(), branch or settings().branch
    name = named_model(lake, target, name)
    found = chosen_version(lake, target, name, version)
    model_files(lake, target, found)
    graph = code_location.graph()
    reign = crown(lake, target, found, graph, by=_person(), why=message, now=datetime.now(UTC))
    do_what_follows(lake, target)
    with code_location.instance() as instance:
        tell_truth(instance, lake, graph)
    head = lake.resolve(target)
    if as_json:
        return print_json({"branch": target, "commit": head, "reign": reign.model_dump(mode="json")})
    return out().print(f"{name} v{found.number} reigns on {target}, by {head[:12]}")


def _person() -> str:
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"


def _story(lake: Lake, ref: str, name: str) -> Story:
    from dfp_platform.publishing.model_story import story_of
    from dfp_platform.serving.versions import versions

    return story_of(lake, ref, name, _registered(name, [version.content for version in versions(lake, name)]))


def _registered(name: str, contents: list[str]) -> Mapping[str, Registered]:
    """What MLflow knows of these contents; nothing where it is not there, which is said once."""
    from dfp_platform.models.mlflow_client import is_there
    from dfp_platform.models.registration import registered
    from dfp_platform.settings import settings

    uri = settings().mlflow_uri
    if not is_there(uri):
        return {}
    try:
        return registered(uri=uri, name=name, contents=contents)
    except UnreachableError as error:
        err().print(f"MLflow is left out: {error.message}")
        return {}


def _version(lake: Lake, ref: str, said: str) -> Version:
    from dfp_platform.publishing.model_story import chosen_version, named_model

    name, _, which = said.partition("@")
    return chosen_version(lake, ref, named_model(lake, ref, name), which or "champion")


def _told(lake: Lake, ref: str, version: Version) -> Told:
    story = _story(lake, ref, version.model)
    return next(told for told in story.versions if told.tag == version.tag)


def _compared(lake: Lake, ref: str, files: list[Mapping[str, bytes]]) -> tuple[dict[str, tuple[Any, Any]], Any, str]:
    """Where the configurations differ, the paired difference, and why there is none."""
    from dfp_platform.catalog import scan
    from dfp_platform.models.comparison import compare as held_against
    from dfp_platform.models.data import SPLIT_INDEX, TRAINING_TABLE, placed
    from dfp_platform.models.evaluation import RESAMPLES
    from dfp_platform.models.weights import load_model
    from dfp_platform.settings import settings

    one, other = (load_model(each) for each in files)
    configuration = _differing(one.card, other.card)
    try:
        dataset, places = (scan(lake, ref, tuple(path.split("/")[1:])) for path in (TRAINING_TABLE, SPLIT_INDEX))
        found = held_against(one, other, placed(dataset, places), resamples=RESAMPLES, seed=settings().seed)
    except (InputError, NotFoundError) as error:
        return configuration, None, error.message
    return configuration, found, ""


def _differing(one: ModelCard, other: ModelCard) -> dict[str, tuple[Any, Any]]:
    """What two models were told differently, by dotted key."""
    from dfp_platform.models.presets import flattened

    told = [
        {**flattened({k: v for k, v in card.config.items() if isinstance(v, dict)}), "table": card.origin.content}
        for card in (one, other)
    ]
    keys = sorted(told[0].keys() | told[1].keys())
    return {key: (told[0].get(key), told[1].get(key)) for key in keys if told[0].get(key) != told[1].get(key)}


def _of(story: Story, alias: str) -> tuple[str, str, str]:
    found = next((told for told in story.versions if alias in told.aliases), None)
    return (found.version, _figure(found.roc_auc), _figure(found.average_precision)) if found else ("", "", "")


def _row(told: Told) -> tuple[str, ...]:
    return (
        told.version,
        ", ".join(told.aliases),
        f"{told.made:%Y-%m-%d %H:%M}",
        _figure(told.roc_auc),
        _figure(told.average_precision),
        size(told.bytes),
        told.commit[:12],
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _plain(story: Story) -> dict[str, Any]:
    reign = story.reign.model_dump(mode="json") if story.reign else None
    return {"model": story.model, "reign": reign, "versions": [asdict(told) for told in story.versions]}
