"""Which version of a model reigns, and why: the record that lies in the lake, and the rule that moves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.models.comparison import Difference
from dfp_platform.models.records import Record


class Challenger(Record):
    """A version that was published and does not reign.

    Attributes:
        content: content id of its files.
        difference: how it did against the champion; None if they could not be compared.
        reason: why it does not reign, in words.
    """

    content: str
    difference: Difference | None = None
    reason: str


class Reign(Record):
    """The champion of one model.

    Attributes:
        model: the model's noun.
        content: content id of the champion's files.
        since: when the version was made, or a person promoted it.
        why: `first` (there was none), `better` (than its predecessor, by more than the interval) or `by hand`.
        reason: the same for people.
        before: content id of its predecessor.
        difference: how it did against it.
        challenger: the version that stands beside it.
    """

    model: str
    content: str
    since: datetime
    why: Literal["first", "better", "by hand"]
    reason: str
    before: str | None = None
    difference: Difference | None = None
    challenger: Challenger | None = None


def crowned(
    reign: Reign | None, *, model: str, content: str, made: datetime, compare: Callable[[], Difference | None]
) -> Reign:
    """Who reigns once a version of a model stands there to be published.

    It becomes champion if there is none, or if it is better than the champion by more than the interval; else it is
    the challenger. It is judged once: a version that has been compared with this champion is not compared again.

    Args:
        reign: who reigned; None: nobody.
        content: content id of the version that stands there.
        made: when that was written.
        compare: holds it against the champion; None: the champion's files are nowhere any more. InputError or
            CorruptLakeError: they cannot be compared, and a person has to decide.
    """
    if reign is None:
        return Reign(model=model, content=content, since=made, why="first", reason="the first version of this model")
    if content == reign.content:
        return reign.model_copy(update={"challenger": None})
    if reign.challenger is not None and content == reign.challenger.content:
        return reign
    try:
        difference = compare()
    except (InputError, CorruptLakeError) as error:
        challenger = Challenger(content=content, reason=f"not compared: {error.message}")
        return reign.model_copy(update={"challenger": challenger})
    if difference is None:
        lost = f"the files of its predecessor {reign.content[:12]} are nowhere in the lake"
        return Reign(model=model, content=content, since=made, why="first", reason=lost, before=reign.content)
    if not difference.better:
        reason = f"not better by more than the interval: {difference.in_words()}"
        challenger = Challenger(content=content, difference=difference, reason=reason)
        return reign.model_copy(update={"challenger": challenger})
    return Reign(
        model=model,
        content=content,
        since=made,
        why="better",
        reason=f"better by more than the interval: {difference.in_words()}",
        before=reign.content,
        difference=difference,
    )


def promoted(reign: Reign | None, *, model: str, content: str, standing: str, now: datetime, reason: str) -> Reign:
    """Who reigns once a person has promoted a version.

    Args:
        standing: content id of the version that is published: the challenger from now on, unless it is the one.
        reason: who did it, and why.
    """
    challenger = None
    if standing != content:
        told = reign.challenger if reign else None
        kept = told if told is not None and told.content == standing else None
        challenger = kept or Challenger(content=standing, reason="another version was promoted by hand")
    return Reign(
        model=model,
        content=content,
        since=now,
        why="by hand",
        reason=reason,
        before=reign.content if reign and reign.content != content else None,
        challenger=challenger,
    )
