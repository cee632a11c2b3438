"""`dfp lake …`: history, branches and objects of the lake, in git's words."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.screen import Json, err, out, print_json, print_table, size
from dfp_platform.errors import DfpError, InvalidNameError, NotFoundError
from dfp_platform.schemas import MAIN, Commit

if TYPE_CHECKING:
    from dfp_platform.catalog.merging import Preference
    from dfp_platform.lake import Lake

app = typer.Typer(help="History, branches and objects of the lake.", no_args_is_help=True)

SHOWN = 200
"""Objects that are listed for a person."""

Ref = Annotated[str, typer.Argument(help="A branch, a tag or a commit.", metavar="REF")]


def opened() -> Lake:
    """The configured lake. Raises NotFoundError: nothing was ever written to it."""
    from dfp_platform.lake import open_lake
    from dfp_platform.settings import settings

    uri = settings().lake_uri
    try:
        return open_lake(uri)
    except NotFoundError as error:
        raise NotFoundError(
            error.message, hint="run `make demo` or `dfp run` first, or set DFP_LAKE", uri=uri
        ) from error


@app.command()
def branch(
    name: Annotated[str, typer.Argument(help="Name of the branch.")],
    source: Annotated[str, typer.Argument(help="What it starts from.")] = MAIN,
    delete: Annotated[bool, typer.Option("--delete", help="Forget the branch instead.")] = False,
    as_json: Json = False,
) -> None:
    """Make a branch: nothing is copied, it takes no time and no space."""
    lake = opened()
    if delete:
        lake.delete_branch(name)
        return print_json({"branch": name, "deleted": True}) if as_json else out().print(f"{name} is forgotten")
    head = lake.create_branch(name, source)
    if as_json:
        return print_json({"branch": name, "commit": head})
    return out().print(f"{name} is at {head[:12]}")


@app.command()
def merge(
    source: Annotated[str, typer.Argument(help="What to bring in: a branch, a tag or a commit.")],
    into: Annotated[str, typer.Option(help="The branch that takes it.")] = MAIN,
    message: Annotated[str | None, typer.Option("--message", "-m")] = None,
    ours: Annotated[list[str], typer.Option(help="A table to keep as it is on the branch.", metavar="TABLE")] = [],  # noqa: B006
    theirs: Annotated[list[str], typer.Option(help="A table to take whole from SOURCE.", metavar="TABLE")] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change or conflict.")] = False,
    as_json: Json = False,
) -> None:
    """Merge SOURCE into a branch in one commit; a table that both changed is merged by rows.

    Nothing is written if both changed the same rows, files or objects: the error names them.
    """
    from dfp_platform.catalog.merging import merge_branches

    lake = opened()
    merged = partial(merge_branches, lake, prefer=_sides(ours, theirs))
    if dry_run:
        from dfp_platform.cli.lake_history import print_rehearsal

        return print_rehearsal(lake, source, into, merged, as_json=as_json)
    before = lake.resolve(into)
    head = merged(source, into, message=message or f"merge {source} into {into}")
    if as_json:
        return print_json({"branch": into, "commit": head, "changed": head != before})
    return out().print(f"{into} is at {head[:12]}" if head != before else f"{source} brings nothing new to {into}")


def _sides(ours: list[str], theirs: list[str]) -> dict[str, Preference]:
    if both := set(ours) & set(theirs):
        raise InvalidNameError(
            f"{', '.join(sorted(both))} cannot be taken from both sides", hint="name each table once", name=min(both)
        )
    named: list[tuple[str, Preference]] = [
        *((table, "ours") for table in ours),
        *((table, "theirs") for table in theirs),
    ]
    return dict(named)


@app.command()
def relocate(
    folder: Annotated[str | None, typer.Argument(help="The lake's folder; the configured one unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Accept that a lake's folder was moved or copied to where it is now. A lake on a server needs that never."""
    from dfp_platform.lake import is_served
    from dfp_platform.lake import relocate as accept
    from dfp_platform.settings import settings

    place = folder or settings().lake_uri
    before = accept(place)
    if as_json:
        return print_json({"folder": place, "before": before})
    if is_served(place):
        return out().print(f"{place} lies on a server and needs no relocation")
    return out().print(f"{place} was at {before}" if before else f"{place} had not moved")


@app.command()
def revert(
    what: Annotated[str, typer.Argument(help="A commit, or the id of a published run.", metavar="COMMIT|RUN")],
    branch: Annotated[str | None, typer.Option(help="The branch it was published to.")] = None,
    as_json: Json = False,
) -> None:
    """Take a publication back by a new commit, and everything that followed it: online features, aliases, pages."""
    from dfp_platform.publishing.truth import tell_truth
    from dfp_platform.settings import settings

    lake, target = opened(), branch or settings().branch
    taken_back = _publication(lake, target, what)
    head = lake.revert(target, taken_back)
    do_what_follows(lake, target)
    with code_location.instance() as instance:
        tell_truth(instance, lake, code_location.graph())
    if as_json:
        return print_json({"branch": target, "reverted": taken_back, "commit": head})
    return out().print(f"{target} is at {head[:12]}, without {taken_back[:12]}")


def do_what_follows(lake: Lake, target: str) -> None:
    """The promotions of a commit that a person has just made. Raises what they raise, saying that the commit stands."""
    from dfp_platform.publishing.promotions import settle

    try:
        settle(lake, target)
    except DfpError as error:
        stands = f"{target} is at {lake.resolve(target)[:12]} already, so do not do it again"
        later = "what has to follow it is done by the next run, such as dfp run --select features/registry"
        raise type(error)(error.message, hint=f"{error.hint}; {stands}: {later}", **error.fields) from error


def _publication(lake: Lake, target: str, what: str) -> str:
    """The commit that `what` means: the one by which a run was published, else the commit itself."""
    run_id = what.removeprefix("run-")
    published = (c.id for c in lake.log(target) if c.metadata.get("run") == run_id and "published" in c.metadata)
    return next(published, None) or lake.resolve(what)


@app.command()
def tag(
    name: Annotated[str | None, typer.Argument(help="Name of the tag; without it, all tags are listed.")] = None,
    ref: Annotated[str, typer.Argument(help="What it names for ever.")] = MAIN,
    delete: Annotated[bool, typer.Option("--delete", help="Forget the tag instead.")] = False,
    as_json: Json = False,
) -> None:
    """Name a commit for ever, or list the names."""
    lake = opened()
    if name is None:
        tags = lake.tags()
        return print_json(tags) if as_json else print_table(["tag", "commit"], [(t, c[:12]) for t, c in tags.items()])
    if delete:
        lake.delete_tag(name)
        return print_json({"tag": name, "deleted": True}) if as_json else out().print(f"{name} is forgotten")
    commit = lake.tag(name, ref)
    return print_json({"tag": name, "commit": commit}) if as_json else out().print(f"{name} is {commit[:12]}")


@app.command()
def show(
    ref: Ref = MAIN,
    path: Annotated[str, typer.Argument(help="An object, or a folder of objects.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Write the object's bytes to stdout.")] = False,
    as_json: Json = False,
) -> None:
    """A commit and what lies there. With PATH: one object, the commit that wrote it, and from what."""
    lake = opened()
    if raw:
        return _write(lake, ref, path)
    beneath = f"{path.rstrip('/')}/" if path else ""
    found = list(islice(lake.list(ref, beneath), SHOWN + 1))
    if path and not found:
        return _show_object(lake, ref, path, as_json=as_json)
    if as_json:
        commit = lake.show(ref)
        return print_json({**asdict(commit), "objects": list(lake.list(ref, beneath))})
    if not path:
        _print_commit(lake.show(ref))
    print_table(["path", "size"], [(stat.path, size(stat.size)) for stat in found[:SHOWN]])
    return err().print("… and more: --json lists all") if len(found) > SHOWN else None


def _show_object(lake: Lake, ref: str, path: str, *, as_json: bool) -> None:
    stat, commit = lake.stat(ref, path), lake.provenance(ref, path)
    if as_json:
        return print_json({**asdict(stat), "written_by": asdict(commit)})
    print_table(["", ""], [("path", stat.path), ("size", size(stat.size)), ("sha256", stat.sha256)])
    return _print_commit(commit)


def _print_commit(commit: Commit) -> None:
    rows = [
        ("commit", commit.id),
        ("parents", " ".join(parent[:12] for parent in commit.parents)),
        ("time", commit.time.isoformat()),
        ("message", commit.message),
        *sorted(commit.metadata.items()),
    ]
    print_table(["", ""], rows)


def _write(lake: Lake, ref: str, path: str) -> None:
    import shutil
    import sys

    with lake.open(ref, path) as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
