"""The data card: what the landed data set is, where it came from, what is wrong with it, and what it is good for.

Filled from `ingest.dataset_facts.CardFacts` alone, so that equal lakes give equal pages. The chapters follow data cards
(Pushkarna, Zaldivar, Kjartansson, FAccT 2022) and datasheets (Gebru et al., Communications of the ACM 64, 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfp_platform.reports.model_card import Section, Table
from dfp_platform.reports.templates import count, percent, rendered, size

if TYPE_CHECKING:
    from dfp_platform.ingest.dataset_facts import BorderRule, CardFacts, DatasetFacts

LEAD = (
    "KronoDroid: Android apps, benign and malware, of 2008 to 2020, each watched while it ran (system calls) and taken "
    "apart (permissions, sizes, components). One row is one package file on one device. This page is made by "
    "`dfp lake dataset-card` from the log and the tables of a lake; do not edit it."
)

CITATION = (
    "Alejandro Guerra-Manzanares, Hayretdin Bahsi, Sven Nõmm: KronoDroid: Time-based hybrid-featured dataset for "
    "effective Android malware detection and characterization. Computers & Security 110 (2021) 102399."
)

SOURCE = (
    "Publishers' archives: four zipped CSV files in the repository [aleguma/kronodroid]"
    "(https://github.com/aleguma/kronodroid): 41,382 malware and 36,755 benign rows of a real device, 28,745 and "
    "35,246 of an emulator. `DFP_SOURCE=archives` takes them.",
    "The same on Kaggle, `dhoogla/kronodroid-2021` (`DFP_SOURCE=kaggle`), or a file of that form "
    "(`DFP_SOURCE=<path>`).",
    "`DFP_SOURCE=sample` makes rows by a seeded generator from aggregates. It holds no real app.",
    "Licence: free for research if the paper is cited. No row of it is part of this repository.",
    f"Cite: {CITATION}",
)

DEFECTS = (
    "`Package` ends in a line break inside its quotes in every published row; it lands as it is, staging trims it. It "
    "is no key: versions of an app share it. The key is `sha256`.",
    "The published columns `reboot` (a system call) and `REBOOT` (a permission) are one column to engines that ignore "
    "case. Landed names carry prefixes for that: `sys_`, `perm_`, `app_`.",
    "Dates of 1980 (what a zip says when it does not know) and of the future occur in the full set; from the archives "
    "they land as missing and are counted below, elsewhere they are refused unless told otherwise.",
    "Four apps a device are published twice, once as benign and once as malware: all rows of them are left out.",
    "`emu_malware_v1.csv` has no `FilesInsideAPK`, its benign sibling has: the absence would tell the label, so the "
    "column lands as missing for the whole emulator.",
    "Some benign rows name a family of malware.",
    "`Scanners` and `Detection_Ratio` tell the label, `TimesSubmitted` and `NrContactedIps` are known only after the "
    "fact: none of the four is ever a feature.",
    "Labels are those of scanners, at the time the set was made; nobody has looked at each app.",
)

INTENDED = (
    "Detection of malware from system calls, permissions and static counts, judged over time: train on the past, test "
    "on later apps.",
    "Studies of drift: what ages in a detector, and what tells it without labels.",
    "Teaching and testing of data platforms; then with the seeded sample, which shows nothing about malware.",
)

NOT_INTENDED = (
    "To decide alone about an app or its author: a false alarm is a person's work, a miss another person's phone.",
    "Claims about apps after 2020, other stores, or other ways of watching: the set knows none of them.",
    "Scores on shuffled years: they flatter, because a model has then seen tomorrow.",
    "Both devices mixed: an emulator makes other calls than a phone, and an app may be on both.",
    "Estimates of how common malware is: more than half of the set is, because it was collected so.",
)


def dataset_card(facts: CardFacts) -> bytes:
    """The card as Markdown, UTF-8; equal facts are equal bytes."""
    synthetic = any(load.origin.synthetic for found in facts.datasets for load in found.loads)
    return rendered(
        "model_card.md.j2",
        title="KronoDroid: the data set",
        synthetic=synthetic,
        lead=LEAD,
        sections=list(_sections(facts)),
    )


def _sections(facts: CardFacts) -> Iterator[Section]:
    yield Section("Source, licence, citation", lists=[("", SOURCE)])
    yield Section("What it is for", lists=[("Intended", INTENDED), ("Not intended", NOT_INTENDED)])
    yield Section("Columns", said=[_columns_said(facts)], tables=[_groups(facts)])
    yield Section("What has to be true of a row", said=[_border_said()], tables=[_rules(facts.rules)])
    yield Section("Known defects", lists=[("", DEFECTS)])
    yield Section(f"What stands on {facts.ref}", said=[_stands_said(facts)], tables=[_stands(facts), _oddities(facts)])
    for found in facts.datasets:
        yield Section(f"{found.dataset}, by year and label", tables=[_years(found)])
    yield Section("Loads", said=[_loads_said(facts)], tables=[_loads(facts), *_files(facts)])
    yield Section("Versions", said=[_versions_said()], tables=[_versions(facts)], commands=_commands())


def _columns_said(facts: CardFacts) -> str:
    columns = sum(len(group.columns) for group in facts.groups)
    seen = sum(len(group.columns) for group in facts.groups if group.feature)
    return (
        f"{columns} columns land, {seen} of them may be seen by a model. What each one counts or says: "
        "`dfp catalog describe raw.kronodroid_real_device`. A column is bare where every row has the same value, or "
        "none: it tells a model nothing."
    )


def _groups(facts: CardFacts) -> Table:
    return Table(
        ("group", "columns", "such as", "what they say", "a feature", *(f"bare, {f.dataset}" for f in facts.datasets)),
        [
            (
                group.name,
                count(len(group.columns)),
                ", ".join(f"`{name}`" for name in group.columns[:3]),
                group.meaning,
                "yes" if group.feature else "no",
                *(count(found.bare[group.name]) if found.years else "" for found in facts.datasets),
            )
            for group in facts.groups
        ],
    )


def _border_said() -> str:
    return (
        "A load lands whole or not at all: one cell that breaks a rule refuses its file, with file, row, column and "
        "what to do, and nothing is committed. So no rejected row stands anywhere, and none is dropped in silence; "
        "what was left out or changed on the way in is counted beside its load."
    )


def _rules(rules: Sequence[BorderRule]) -> Table:
    def columns(rule: BorderRule) -> str:
        few = ", ".join(f"`{name}`" for name in rule.columns[:2])
        return few if len(rule.columns) < 3 else f"{count(len(rule.columns))} columns"

    return Table(
        ("rule", "over", "a cell breaks it if it"), [(rule.name, columns(rule), rule.problem) for rule in rules]
    )


def _stands_said(facts: CardFacts) -> str:
    if not facts.datasets:
        return "No data set has landed: `dfp run --select raw --select tables/raw` lands them."
    return f"At commit `{facts.commit[:12]}` of {facts.time:%Y-%m-%d %H:%M} UTC."


def _stands(facts: CardFacts) -> Table:
    return Table(
        ("data set", "device", "apps", "benign", "malware", "malware, share", "content id of the table"),
        [
            (
                found.dataset,
                found.device.replace("_", " "),
                count(found.benign + found.malware),
                count(found.benign),
                count(found.malware),
                percent(found.malware / (found.benign + found.malware) if found.years else None),
                f"`{found.versions[0].content[:16]}`" if found.versions else "no table yet",
            )
            for found in facts.datasets
        ],
    )


def _oddities(facts: CardFacts) -> Table:
    named = dict.fromkeys(what for found in facts.datasets for what in found.oddities)
    return Table(
        ("known defects, counted", *(found.dataset for found in facts.datasets)),
        [(what, *(count(found.oddities.get(what, 0)) for found in facts.datasets)) for what in named],
    )


def _years(found: DatasetFacts) -> Table:
    return Table(
        ("year", "benign", "malware"),
        [(str(year.year or "no date"), count(year.benign), count(year.malware)) for year in found.years],
    )


def _loads_said(facts: CardFacts) -> str:
    several = any(len(found.loads) > 1 for found in facts.datasets)
    more = " Where two loads hold the same app, the later one counts in the marts." if several else ""
    return f"What landed, when, from what; a load's id is its number and the beginning of a digest of its rows.{more}"


def _loads(facts: CardFacts) -> Table:
    return Table(
        ("data set", "load", "landed (UTC)", "commit", "rows", "source", "left out or changed"),
        [
            (
                found.dataset,
                f"`{load.origin.load_id}`",
                f"{load.time:%Y-%m-%d %H:%M}",
                f"`{load.commit[:12]}`",
                count(load.origin.rows),
                load.origin.note or load.origin.source,
                "; ".join(f"{what}: {count(times)}" for what, times in load.origin.mended.items()) or "nothing",
            )
            for found in facts.datasets
            for load in found.loads
        ],
    )


def _files(facts: CardFacts) -> list[Table]:
    rows = [(f"`{file.name}`", size(file.size), f"`{file.sha256}`") for file in facts.files]
    return [Table(("file that was read", "size", "sha256"), rows)] if rows else []


def _versions_said() -> str:
    return (
        "Each content that a table had, newest first, with the commit that brought it. A commit is a ref: every "
        "command that takes `--ref` reads the data set as it was then."
    )


def _versions(facts: CardFacts) -> Table:
    return Table(
        ("data set", "since (UTC)", "commit", "rows", "content id of the table"),
        [
            (
                found.dataset,
                f"{version.time:%Y-%m-%d %H:%M}",
                f"`{version.commit[:12]}`",
                count(version.rows),
                f"`{version.content[:16]}`",
            )
            for found in facts.datasets
            for version in found.versions
        ],
    )


def _commands() -> list[str]:
    return [
        "dfp lake show main raw/kronodroid_real_device/origin.json  # which run landed it, and when",
        "dfp lake log --path tables/raw/kronodroid_real_device      # every commit that touched the table",
    ]
