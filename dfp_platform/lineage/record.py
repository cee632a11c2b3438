"""What is told of a run: its state, and what it published, as the lake recorded it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Kind = Literal["TABLE", "MODEL", "FILE"]
State = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """An asset as a branch of the lake holds it.

    Attributes:
        asset: its path in the lake, ``tables/marts/fct_training_dataset``.
        branch: the branch it is published on.
        commit: the commit that holds this content; empty where it is not known any more.
        content: its content id.
        table: its name in the catalog, ``marts.fct_training_dataset``; empty for what is no table.
        columns: name, type and description of each column of a table.
        rows: rows of a table.
        bytes: size of its files; of a table nothing is known without reading it.
        files: number of its files.
    """

    asset: str
    branch: str
    content: str
    commit: str = ""
    kind: Kind = "FILE"
    table: str = ""
    columns: tuple[tuple[str, str, str], ...] = ()
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None

    @property
    def name(self) -> str:
        """Branch and path: what the dataset is called within its lake."""
        return f"{self.branch}/{self.asset}"


@dataclass(frozen=True, slots=True)
class Made:
    """One asset that was published, and what it was made from.

    Attributes:
        code_version: version of the code that made it; empty if none was recorded.
        config: its configuration as JSON; empty if none was recorded.
        columns_from: asset and column of all that each column of a table is computed from, where it is known.
    """

    dataset: Dataset
    inputs: tuple[Dataset, ...] = ()
    code_version: str = ""
    config: str = ""
    columns_from: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One state of a run.

    Attributes:
        lake: names the lake, ``lakefs://apps`` or ``lake://host/folder``.
        time: when it came to this state; for COMPLETE the time of the publication.
        started: when it began.
        branch: the branch that it publishes to; empty if none.
        commit: the commit that carries what it published.
        made: what it published; empty where it published nothing new.
        reasons: why it failed or was held back.
        continues: the run that it re-executes.
    """

    run_id: str
    job: str
    state: State
    time: datetime
    started: datetime
    lake: str
    branch: str = ""
    commit: str = ""
    made: tuple[Made, ...] = ()
    reasons: tuple[str, ...] = ()
    continues: str = ""


class Receiver(Protocol):
    """A catalog that is told. Telling the same twice changes nothing there."""

    name: str

    def tell(self, record: RunRecord, *, begin: int = 0) -> Iterator[int]:
        """Tell one record in pieces of some seconds at most; yields how many of them it has by now.

        Args:
            begin: pieces of this record that it has already.
        Raises:
            UnreachableError: it did not answer, or is out of order. InputError: it refused what it was told.
            ConfigurationError: what it needs is not installed, or its address cannot be used.
        """
        ...
