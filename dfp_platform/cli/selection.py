"""Which assets a person means by `--select`, `--from` and `--to`: pure functions over the asset graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from dfp_platform.errors import NotFoundError

Dependencies = Mapping[str, Iterable[str]]
"""What each asset is made from, by key path."""


def named(pattern: str, dependencies: Dependencies) -> set[str]:
    """Assets that a pattern names: a key (`models/autoencoder`), a room (`models`), or a glob (`tables/*/stg_*`).

    Raises NotFoundError: it names none.
    """
    pattern = pattern.strip("/")
    found = {name for name in dependencies if name == pattern or name.startswith(f"{pattern}/")}
    found |= {name for name in dependencies if fnmatchcase(name, pattern)}
    if not found:
        near = get_close_matches(pattern, [*dependencies, *{name.split("/")[0] for name in dependencies}], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from: {', '.join(sorted(dependencies))}"
        raise NotFoundError(f"no asset is called {pattern}", hint=hint, asset=pattern)
    return found


def partitioned(name: str, partitions: Mapping[str, Sequence[str]]) -> str:
    """The partitioned asset that a person means, by its key or the last part of it. Raises NotFoundError: none."""
    found = [asset for asset in partitions if asset == name.strip("/") or asset.endswith(f"/{name.strip('/')}")]
    if len(found) != 1:
        hint = f"choose from: {', '.join(sorted(partitions))}"
        raise NotFoundError(f"no partitioned asset is called {name}", hint=hint, asset=name)
    return found[0]


def between(partitions: Sequence[str], first: str | None, last: str | None) -> list[str]:
    """Those of ordered partition keys that lie between two, both included; a key may be cut short (`2012-01`, `2012`).

    Raises NotFoundError: there is none.
    """
    found = [
        key for key in partitions if (first is None or key >= first) and (last is None or key[: len(last)] <= last)
    ]
    if not found:
        known = f"{partitions[0]} to {partitions[-1]}"
        raise NotFoundError(f"no partition lies between {first} and {last}", hint=f"there are {known}", first=first)
    return found


def upstream(names: Iterable[str], dependencies: Dependencies) -> set[str]:
    """`names` and everything they are made from."""
    reached, waiting = set(), [name for name in names if name in dependencies]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(parent for parent in dependencies[name] if parent in dependencies)
    return reached


def downstream(names: Iterable[str], dependencies: Dependencies) -> set[str]:
    """`names` and everything made from them."""
    chosen = set(names)
    return {name for name in dependencies if upstream([name], dependencies) & chosen}


def chosen(
    dependencies: Dependencies, *, select: Sequence[str] = (), start: str | None = None, end: str | None = None
) -> list[str] | None:
    """The assets that all of the options name together, sorted; None if no option narrows the choice.

    Args:
        select: patterns, of which any may hold.
        start: only these and what is made from them.
        end: only these and what they are made from.
    Raises:
        NotFoundError: a pattern names no asset, or the options together leave none.
    """
    if not select and start is None and end is None:
        return None
    found = set(dependencies)
    if select:
        found &= set[str]().union(*(named(pattern, dependencies) for pattern in select))
    if start is not None:
        found &= downstream(named(start, dependencies), dependencies)
    if end is not None:
        found &= upstream(named(end, dependencies), dependencies)
    if not found:
        raise NotFoundError("the options together leave no asset", hint="widen --select, --from or --to")
    return sorted(found)


def options_for(keys: Iterable[str], dependencies: Dependencies) -> list[str]:
    """The shortest options of `dfp run` found that choose exactly these assets; none where they are all there are.

    One `--from` if the assets are all that is made from one of them or from a room, else a `--select` a room or asset.
    """
    wanted = set(keys)
    if wanted == set(dependencies):
        return []
    rooms = sorted({name.split("/")[0] for name in wanted})
    for start in [*rooms, *sorted(wanted)]:
        if chosen(dependencies, start=start) == sorted(wanted):
            return ["--from", start]
    whole = [room for room in rooms if named(room, dependencies) <= wanted]
    rest = sorted(name for name in wanted if name.split("/")[0] not in whole)
    return [word for pattern in sorted([*whole, *rest]) for word in ("--select", pattern)]
