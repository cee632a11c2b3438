"""A model card for people: `models.card.ModelCard` and what judged it → one page, and the same as Markdown.

Both are filled from the same sections, so neither says what the other does not. Nothing in them is the time or the run
of their writing: equal models and figures are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dfp_platform.reports.card_words import INTENDED, KINDS, LIMITS, NOT_INTENDED
from dfp_platform.reports.charts import Chart
from dfp_platform.reports.figures import over_time_chart
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.leaderboard import drift_chart, reliability_chart
from dfp_platform.reports.templates import count, figure, interval, percent, rendered

FAMILIES_SHOWN = 20

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of words under their headings; the first cell of a row names it."""

    headings: Row
    rows: Sequence[Row]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One chapter of a card, in the order in which its parts are shown. Charts are for the page alone."""

    title: str
    said: Sequence[str] = ()
    lists: Sequence[tuple[str, Sequence[str]]] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[tuple[str, Chart, str]] = ()
    commands: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CardInputs:
    """What a card is made of. Records are JSON, as other rooms write them.

    Attributes:
        card: `models.card.ModelCard`.
        content: content id of the model in the lake.
        source: where the apps came from, one sentence.
        judged: the model's `models.evaluation.ModelEvaluation`; None: it was not judged.
        test: the `models.evaluation.Evaluation` it is part of.
        reason: why it was not judged.
    """

    card: Json
    content: str
    source: str
    judged: Json | None = None
    test: Json | None = None
    reason: str = ""

    @property
    def lead(self) -> str:
        """What it is and how far it comes, in two sentences."""
        told = KINDS[self.card["kind"]].what
        if not self.judged:
            return told
        scores = self.judged["overall"]
        return (
            f"{told} On {count(scores['apps'])} newer apps, {count(scores['malware'])} of them malware, its average "
            f"precision is {figure(scores['average_precision'])}; guessing would give "
            f"{figure(scores['malware'] / scores['apps'])}."
        )


def model_card(inputs: CardInputs) -> dict[str, bytes]:
    """The card as ``html`` and ``md``, UTF-8; each stands alone.

    Raises:
        KeyError: a record lacks a field that its room promises.
    """
    values = {
        "title": f"Model card: {inputs.card['name']}",
        "synthetic": inputs.card["synthetic"],
        "lead": inputs.lead,
        "sections": list(sections(inputs)),
    }
    return {kind: rendered(f"model_card.{kind}.j2", **values) for kind in ("html", "md")}


def sections(inputs: CardInputs) -> Iterator[Section]:
    """The chapters, in order."""
    yield from (_uses(inputs), _data(inputs), _training(inputs), _score(inputs))
    if inputs.judged and inputs.test:
        yield from (_over_time(inputs.judged, inputs.test, inputs.card), _families(inputs.judged))
        yield from (_calibration(inputs.judged), _rejection(inputs.judged))
        if inputs.judged["drift_alarm"]:
            yield _drift(inputs.judged)
    else:
        reason = inputs.reason or "No app newer than those of its training is there."
        yield Section("Scores on newer apps", said=[f"It was not judged. {reason[:1].upper()}{reason[1:]}"])
    yield from (_limits(inputs), _again(inputs))


def _uses(inputs: CardInputs) -> Section:
    words = KINDS[inputs.card["kind"]]
    return Section(
        "Intended use",
        lists=[("For", [*words.intended, *INTENDED]), ("Not for", [*words.not_intended, *NOT_INTENDED])],
    )


def _data(inputs: CardInputs) -> Section:
    card = inputs.card
    facts = [
        ("Device", card["device"].replace("_", " ")),
        ("Source", inputs.source),
        ("Real apps", "no, generated" if card["synthetic"] else "yes"),
        ("Features", f"{count(len(card['features']))}, schema {card['schema_hash'][:12]}"),
        ("Cut", "by time" if card["config"]["split"]["by"] == "time" else "by a hash of the app's id: all years mixed"),
    ]
    names = {"training": "fitted on", "calibration": "stopped and calibrated by (benign)", "test": "left for the test"}
    slices = [
        (
            names[name],
            count(part["apps"]),
            count(part["malware"]),
            percent(part["malware"] / part["apps"] if part["apps"] else None),
            part["first_date"] or "–",
            part["last_date"] or "–",
        )
        for name, part in ((name, card["slices"][name]) for name in names)
    ]
    return Section(
        "Data", tables=[Table(("", ""), facts), Table(("Part", "Apps", "Malware", "Share", "First", "Last"), slices)]
    )


def _training(inputs: CardInputs) -> Section:
    card = inputs.card
    told = [
        (group, ", ".join(f"{key} {_plain(value)}" for key, value in card["config"][group].items()))
        for group in ("model", "data", "split", "training")
    ]
    made = [
        *((name.replace("_", " ").capitalize(), f"{value:g}") for name, value in sorted(card["figures"].items())),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in sorted(card["libraries"].items()))),
        ("Machine", ", ".join(f"{name} {value}" for name, value in sorted(card["platform"].items()))),
        ("Standardisation", card["standardisation"]),
    ]
    return Section(
        "How it was trained", tables=[Table(("What it was told", ""), told), Table(("What came out", ""), made)]
    )


def _score(inputs: CardInputs) -> Section:
    card, benign = inputs.card, inputs.card["slices"]["calibration"]["apps"]
    wanted = card["config"]["training"]["false_positive_rate"]
    return Section(
        "What a score means",
        said=[
            f"Within 0 and 1; more is more suspicious: {card['score']}.",
            f"An app with a score above {card['threshold']:.6g} raises an alarm. That threshold was set so that "
            f"{percent(wanted)} of {count(benign)} benign apps, later than those it was fitted on, would raise one.",
        ],
    )


def _over_time(judged: Json, test: Json, card: Json) -> Section:
    parts = [judged[name] for name in ("overall", "unseen_packages", "unseen_vectors", "distinct")]
    areas, wanted = judged["over_months"], card["config"]["training"]["false_positive_rate"]
    since, seeds = test["test_from"] or "the cut", len(judged["seeds"])
    named = {"average_precision": "AP", "f1": "F1", "roc_auc": "ROC-AUC", "true_positive_rate": "recall"}
    return Section(
        "Scores on newer apps",
        said=[
            f"Apps from {since} on, all newer than what it was trained on; means of {count(seeds)} "
            f"training{'s' if seeds > 1 else ''}, with 95 % intervals over seeds and {count(test['resamples'])} "
            f"resamples of the test. Recall and false positives are those at the threshold; {percent(wanted)} false "
            "positives were wanted.",
        ],
        tables=[
            _scores_table("Test apps", parts),
            Table(
                ("Area under the months (AUT)", "AUT", "95 % interval"),
                [
                    (title, figure(areas[name]["value"]), interval(areas[name]["interval"]))
                    for name, title in named.items()
                ],
            ),
            _scores_table("Month", judged["months"]),
            _scores_table("Quarter", judged["quarters"]),
        ],
        charts=[
            ("Average precision by month", over_time_chart([judged], "average_precision", "average precision"), ""),
            (
                "False positive rate by month",
                over_time_chart([judged], "false_positive_rate", "false positive rate"),
                "",
            ),
        ],
    )


def _scores_table(title: str, parts: Sequence[Json]) -> Table:
    headings = (title, "Apps", "Malware", "AP", "ROC-AUC", "F1", "Recall", "False positives", "AP at 10 % malware")
    rows = [
        (
            part["name"],
            count(part["apps"]),
            count(part["malware"]),
            _within(part, "average_precision"),
            _within(part, "roc_auc"),
            _within(part, "f1"),
            percent(part["true_positive_rate"]),
            percent(part["false_positive_rate"]),
            figure(part["rare_average_precision"]),
        )
        for part in parts
    ]
    return Table(headings, rows)


def _families(judged: Json) -> Section:
    families = judged["families"]
    rows = [
        (
            each["family"],
            count(each["apps"]),
            count(each["found"]),
            percent(each["recall"]),
            percent(each["recall_of_seeds"]),
        )
        for each in families[:FAMILIES_SHOWN]
    ]
    rest = families[FAMILIES_SHOWN:]
    if rest:
        apps, found = sum(each["apps"] for each in rest), sum(each["found"] for each in rest)
        rows.append((f"{len(rest)} smaller ones", count(apps), count(found), percent(found / apps), "–"))
    said = [] if rows else ["No malware of the test bears a family's name."]
    table = Table(("Family", "Apps", "Found", "Recall", "Recall, all seeds"), rows)
    return Section("Malware found, by family", said=said, tables=[table] if rows else [])


def _calibration(judged: Json) -> Section:
    told = judged["reliability"]
    bins = [(f"{b['mean_score']:.2g}", count(b["apps"]), percent(b["malware_share"])) for b in told["bins"]]
    said = (
        f"The score claims to be a probability. It is off by {figure(told['expected_calibration_error'])} on average "
        f"(expected calibration error); Brier score {figure(told['brier'])}."
        if told["probability"]
        else "The score is no probability of malware; it orders apps. This is how often apps of a score were malware."
    )
    chart = reliability_chart([{**judged, "style": "model-0"}])
    note = "On the dashed line a score is the probability of malware."
    return Section(
        "Whether a score is a probability",
        said=[said],
        tables=[Table(("Mean score", "Apps", "Malware"), bins)],
        charts=[("Calibration curve", chart, note)],
    )


def _rejection(judged: Json) -> Section:
    told = judged["rejection"]
    rows = [
        (
            percent(b["allowed"]),
            percent(b["rejected"]),
            figure(b["f1"]),
            percent(b["true_positive_rate"]),
            percent(b["false_positive_rate"]),
        )
        for b in told["budgets"]
    ]
    return Section(
        "Where it may leave apps to a person",
        said=[f"Rejected first by {told['criterion']}; the rule is fixed on the calibration apps."],
        tables=[Table(("Allowed there", "Rejected in the test", "F1 of the rest", "Recall", "False positives"), rows)],
    )


def _drift(judged: Json) -> Section:
    told = judged["drift_alarm"]
    rows = [
        (
            month["month"],
            count(month["apps"]),
            f"{month['mean_error']:.4g}",
            f"{month['limit']:.4g}",
            "alarm" if month["alarm"] else "–",
            figure(month["f1"]),
            {None: "–", True: "failed", False: "held"}[month["failed"]],
        )
        for month in told["months"]
    ]
    said = (
        f"From the reconstruction error alone, without labels: {count(told['alarms'])} of {count(len(rows))} months "
        f"raised an alarm, {count(told['false_alarms'])} of them false; {count(told['missed_failures'])} failures came "
        "without one."
    )
    return Section(
        "Drift alarm",
        said=[said, "A model has failed in a month whose F1 is below 90 % of that on the calibration apps."],
        tables=[Table(("Month", "Apps", "Mean error", "Limit", "Alarm", "F1", "Model"), rows)],
        charts=[("Reconstruction error by month", drift_chart({**judged, "style": "model-0"}), "")],
    )


def _limits(inputs: CardInputs) -> Section:
    points = [*KINDS[inputs.card["kind"]].limits, *LIMITS]
    if inputs.judged:
        months, malware = inputs.judged["over_months"], inputs.judged["overall"]["malware"]
        points.insert(
            0,
            f"Judged on {count(malware)} malware apps of {count(months['periods'])} months, of which "
            f"{count(months['judged'])} hold both kinds; the intervals say how little or how much that tells.",
        )
    if inputs.card["synthetic"]:
        points.insert(0, "Its apps were generated: no figure here says anything about real malware.")
    return Section("Limits", lists=[("", points)])


def _again(inputs: CardInputs) -> Section:
    name = inputs.card["name"]
    facts = [
        ("Model", f"models/{name}, content {inputs.content}"),
        ("Training table", f"content {inputs.card['origin']['content'] or 'unknown'}"),
        ("Tags", f"model-{name}-v<n>-data names the exact inputs of each published version"),
    ]
    return Section(
        "Make it again, and trace it",
        tables=[Table(("", ""), facts)],
        commands=[f"dfp replay {name}", f"dfp replay model-{name}-v1-data", f"dfp trace models/{name}"],
    )


def _within(part: Json, name: str) -> str:
    told = interval(part[f"{name}_interval"])
    return f"{figure(part[name])} ({told})" if told else figure(part[name])


def _plain(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def index(cards: Mapping[str, CardInputs]) -> list[dict[str, object]]:
    """The cards as plain rows: model, kind, device, files, and whether it was judged."""
    return [
        {
            "model": name,
            "kind": told.card["kind"],
            "device": told.card["device"],
            "synthetic": told.card["synthetic"],
            "content": told.content,
            "judged": told.judged is not None,
            "average_precision": told.judged["overall"]["average_precision"] if told.judged else None,
            "files": [f"{name}.html", f"{name}.md"],
        }
        for name, told in sorted(cards.items())
    ]
