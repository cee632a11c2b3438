"""Typed records and their one JSON form."""

from __future__ import annotations

import json
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dfp_platform.errors import CorruptLakeError


class Record(BaseModel):
    """A frozen record with one canonical JSON form: equal records are equal bytes.

    Keys are sorted, floats are Python's shortest exact decimals, NaN and infinity are refused (an unknown figure is
    ``None``), and no record carries the time of its writing, so that a second equal computation stores nothing new.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """UTF-8 bytes ending in a newline; equal for equal records."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
        return (text + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The record whose `to_json` gave these bytes.

        Raises:
            CorruptLakeError: the bytes are no such record.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise CorruptLakeError(
                f"these bytes are no {cls.__name__}: {error.error_count()} field(s) are wrong",
                hint="read it at the commit that wrote it, or build it again",
                path=cls.__name__,
                detail=str(error),
            ) from error
