"""What the lake's log and tables say of the landed data sets: what a data card is filled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dfp_platform.ingest.columns import COLUMNS, COUNTERS, FLAGS, LOAD_ID, STATIC_COUNTS
from dfp_platform.ingest.contract import FIRST_DATE, LAST_DATE, ImplausibleDates, rules
from dfp_platform.ingest.origin import DATASETS, RECORD, InputFile, Origin, load_folder, read_origin
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import LEAKING_COLUMNS, Commit, CommitId

VERSIONS_SHOWN = 20
"""Versions of a data set that a card lists, newest first."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load that stands in a data set: what it was made from, and the commit that landed it."""

    origin: Origin
    commit: CommitId
    time: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One content that a data set's table has had on the ref, and the commit of the ref that brought it."""

    commit: CommitId
    time: datetime
    rows: int
    content: str


@dataclass(frozen=True, slots=True)
class YearOfApps:
    """Rows of one year by label; `year` is None for rows without a date that an app can bear."""

    year: int | None
    benign: int
    malware: int


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """One data set as it stands at a ref.

    Attributes:
        dataset: its name, ``kronodroid_emulator``.
        device: what its apps ran on.
        years: rows by year and label, oldest first, those without a date last.
        oddities: rows of which something is known to be wrong, by what.
        bare: columns of each group that say nothing here: one value in every row, or none.
        loads: in the order they came.
        versions: newest first, `VERSIONS_SHOWN` at most.
    """

    dataset: str
    device: str
    years: tuple[YearOfApps, ...]
    oddities: Mapping[str, int]
    bare: Mapping[str, int]
    loads: tuple[Load, ...]
    versions: tuple[Version, ...]

    @property
    def benign(self) -> int:
        """Benign rows, of all loads together."""
        return sum(year.benign for year in self.years)

    @property
    def malware(self) -> int:
        """Rows of malware, of all loads together."""
        return sum(year.malware for year in self.years)


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """Columns that belong together: how many, which ones by example, and whether a model may see them."""

    name: str
    columns: tuple[str, ...]
    meaning: str
    feature: bool


@dataclass(frozen=True, slots=True)
class BorderRule:
    """One sentence of the contract at the border: over how many columns, and what is true of a cell that breaks it."""

    name: str
    columns: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that a data card says of a lake."""

    ref: str
    commit: CommitId
    time: datetime
    datasets: tuple[DatasetFacts, ...]
    groups: tuple[ColumnGroup, ...]
    rules: tuple[BorderRule, ...]

    @property
    def files(self) -> tuple[InputFile, ...]:
        """Every file that a load was read from, once each, in order."""
        return tuple(
            dict.fromkeys(file for found in self.datasets for load in found.loads for file in load.origin.files)
        )


def card_facts(lake: Lake, ref: str) -> CardFacts:
    """What there is to tell of the landed data sets at `ref`; those that have not landed are left out.

    Raises NotFoundError: no such ref. CorruptLakeError: a load's record is not one of ours.
    """
    commit = lake.show(ref)
    found = tuple(facts for dataset in DATASETS if (facts := _dataset(lake, commit, dataset)) is not None)
    return CardFacts(ref, commit.id, commit.time, found, column_groups(), border_rules("reject"))


def column_groups() -> tuple[ColumnGroup, ...]:
    """The columns of a landed row, in groups; every column is in one."""
    landed = [column.landed for column in COLUMNS]
    totals = tuple(f"perm_{name}" for name in COUNTERS)
    flags = tuple(name for name in FLAGS if name not in totals)
    fixed = ("package", "sha256", "malware", "mal_family", "categories", "highest_date", "year_month", "year")
    leaking = tuple(name for name in landed if name in LEAKING_COLUMNS)
    calls = tuple(name for name in landed if name.startswith("sys_"))
    groups = (
        ColumnGroup("identity", fixed[:2], "package name; SHA-256 of the package file, the key", False),
        ColumnGroup("label", fixed[2:4], "1 malware, 0 benign; the family, as scanners name it", False),
        ColumnGroup("system calls", calls, "how often the app made each call while it was watched, and the sum", True),
        ColumnGroup("permissions", flags, "1 if the app asks for it", True),
        ColumnGroup("totals of permissions", totals, "how many it asks for, by kind", True),
        ColumnGroup("static counts", tuple(STATIC_COUNTS.values()), "sizes and parts of the package file", True),
        ColumnGroup("known after the fact", leaking, "what VirusTotal said: tells the label or comes later", False),
        ColumnGroup("category", fixed[4:5], "as published; empty in the publishers' archives", False),
        ColumnGroup("time", fixed[5:], "youngest date inside the package, its month, its year", False),
        ColumnGroup("load", (LOAD_ID,), "which load brought the row; made by the landing", False),
    )
    assert sorted([*landed, LOAD_ID]) == sorted(name for group in groups for name in group.columns)
    return groups


def border_rules(implausible_dates: ImplausibleDates) -> tuple[BorderRule, ...]:
    """What a row has to be before it may land, as `contract` holds it, and that no app is there twice."""
    found = tuple(BorderRule(rule.name, tuple(rule.bad), rule.problem) for rule in rules(implausible_dates))
    return (*found, BorderRule("unique", ("sha256",), "is the app of another row of the load"))


def _dataset(lake: Lake, commit: Commit, dataset: str) -> DatasetFacts | None:
    loads = tuple(_loads(lake, commit.id, dataset))
    if not loads:
        return None
    versions = tuple(islice(_versions(lake, commit, dataset), VERSIONS_SHOWN))
    return DatasetFacts(
        dataset,
        DATASETS[dataset],
        years=_years(lake, commit.id, dataset) if versions else (),
        oddities=_oddities(lake, commit.id, dataset) if versions else {},
        bare=_bare(lake, commit.id, dataset) if versions else {},
        loads=loads,
        versions=versions,
    )


def _loads(lake: Lake, ref: CommitId, dataset: str) -> Iterator[Load]:
    """The loads that stand, oldest first."""
    paths = [stat.path for stat in lake.list(ref, load_folder(dataset)) if stat.path.endswith(f"/{RECORD}")]
    told = [(read_origin(lake, ref, path), lake.provenance(ref, path)) for path in paths]
    for origin, written in sorted(told, key=lambda pair: pair[0].load_id):
        yield Load(origin, written.id, written.time)


def _versions(lake: Lake, commit: Commit, dataset: str) -> Iterator[Version]:
    """The contents that the table had along the first parents of a commit, newest first."""
    from dfp_platform.catalog import read_pointer

    while True:
        pointer = read_pointer(lake, commit.id, ("raw", dataset))
        before = lake.show(commit.parents[0]) if commit.parents else None
        earlier = read_pointer(lake, before.id, ("raw", dataset)) if before else None
        if pointer is not None and (earlier is None or earlier.content != pointer.content):
            yield Version(commit.id, commit.time, pointer.rows, pointer.content)
        if before is None:
            return
        commit = before


def _years(lake: Lake, ref: CommitId, dataset: str) -> tuple[YearOfApps, ...]:
    """Rows by year and label."""
    from dfp_platform.catalog import query

    asked = f"select year, count(*) - sum(malware), sum(malware) from raw.{dataset} group by 1 order by 1 nulls last"
    return tuple(YearOfApps(*row.values()) for row in query(lake, ref, asked).to_pylist())


def _oddities(lake: Lake, ref: CommitId, dataset: str) -> dict[str, int]:
    """How many rows show each known defect."""
    from dfp_platform.catalog import query

    counted = {
        "rows beyond the first of their package": "count(*) - count(distinct trim(package, chr(10)))",
        "benign rows that name a family of malware": "count(*) filter (where malware = 0 and mal_family is not null)",
        f"rows without a date between {FIRST_DATE} and {LAST_DATE}": "count(*) filter (where highest_date is null)",
        "rows that no system call was counted for": "count(*) filter (where sys_nr_syscalls = 0)",
        "rows beyond the first of their app (later loads count)": "count(*) - count(distinct sha256)",
    }
    asked = ", ".join(f'{sql} as "{number}"' for number, sql in enumerate(counted.values()))
    answer = query(lake, ref, f"select {asked} from raw.{dataset}").to_pylist()[0]
    return dict(zip(counted, answer.values(), strict=True))


def _bare(lake: Lake, ref: CommitId, dataset: str) -> dict[str, int]:
    """How many columns of each group have one value in every row, or none at all."""
    from dfp_platform.catalog import query

    groups = column_groups()
    asked = ", ".join(
        f"min({name}) is null or (min({name}) = max({name}) and count({name}) = count(*)) as {name}"
        for group in groups
        for name in group.columns
    )
    (told,) = query(lake, ref, f"select {asked} from raw.{dataset}").to_pylist()
    return {group.name: sum(told[name] for name in group.columns) for group in groups}
