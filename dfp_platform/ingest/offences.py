"""What is wrong with one cell, where it stands, and the one error that tells a person about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfp_platform.errors import InputError

SHOWN = 5
"""How many offending cells an error lists; the rest is a count."""

NEXT_STEPS = {
    "date": "correct the dates, or land them as missing: DFP_IMPLAUSIBLE_DATES=null",
    "label": "correct the label: 1 is malware, 0 is benign",
    "duplicate": "keep one row an app and run again",
    "type": "correct the cell, or check that its line has no stray comma or quote",
    "missing": "fill the cell in, or leave the row out",
    "range": "correct the cell: counts start at 0, permission flags are 0 or 1",
    "sha256": "write the digest of the app's file as 64 hexadecimal digits",
}
"""By kind of offence: what a person does next."""


@dataclass(frozen=True, slots=True)
class Offence:
    """One cell that cannot land.

    Attributes:
        file: name of the file (of the CSV inside a zip).
        row: data row, 1 is the first one beneath the header.
        column: the column's name as the file writes it.
        value: the cell as it was read.
        problem: why it cannot land, as the end of a sentence that starts with the value.
        kind: key of `NEXT_STEPS`.
    """

    file: str
    row: int
    column: str
    value: str
    problem: str
    kind: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.value!r} {self.problem}"


def repeated(file: str, row: int, digest: str, *, first: tuple[str, int]) -> Offence:
    """The offence of an app that an earlier row holds already: `first` is that one's file and row."""
    where = f"row {first[1]}" if first[0] == file else f"row {first[1]} of {first[0]}"
    return Offence(file, row, "sha256", digest, f"is the app of {where} again", "duplicate")


def rejection(offences: Sequence[Offence], *, count: int) -> InputError:
    """The error for offending cells: names the first, lists the first five, counts all.

    Args:
        offences: at least one, in the order found.
        count: how many there are in all.
    """
    shown = list(offences[:SHOWN])
    first = shown[0]
    listed = "; ".join(map(str, shown))
    more = f"; and {count - len(shown)} more" if count > len(shown) else ""
    noun = "cell cannot" if count == 1 else "cells cannot"
    return InputError(
        f"{first.file}: {count} {noun} land: {listed}{more}",
        hint=NEXT_STEPS[first.kind],
        file=first.file,
        row=first.row,
        column=first.column,
        value=first.value,
        problem=first.problem,
        count=count,
        offences=shown,
    )
