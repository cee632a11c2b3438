"""Every error dfp raises, grouped by what a handler would do about it.

::

    DfpError                      catch this to catch all of ours
    ├── PermanentError            trying again changes nothing; something has to be mended first
    │   ├── InputError            data at the border is wrong: file, row and column are named
    │   ├── InvalidNameError      a ref, path or asset name the lake cannot hold
    │   ├── NotFoundError         no such ref, object, table or run
    │   ├── AlreadyExistsError    a branch, tag or table of that name is there
    │   ├── ReadOnlyError         a write to a tag, a commit, or outside a run's branch
    │   ├── FencedError           another run owns the branch now; this writer has to stop
    │   ├── MergeConflictError    both sides changed the same thing: `conflicts` lists it
    │   ├── HeldBackError         the gate did not let a run publish: `reasons` lists why
    │   ├── CorruptLakeError      stored bytes do not match their name; nothing is served from them
    │   ├── ConfigurationError    settings that cannot work
    │   ├── DeviceError           a phone refused or failed what it was asked
    │   └── CalibrationError      too little data for a number that would mean something
    ├── TransientError            the same call may succeed later
    │   ├── DiskFullError         no room for what should be written; nothing was changed
    │   ├── StaleHeadError        the branch moved since it was read (compare-and-swap lost)
    │   ├── DeviceBusyError       a phone is offline, too hot or too slow just now
    │   └── UnreachableError      a server or source did not answer
    └── UnknownOutcomeError       the write may or may not have landed: look before trying again

Errors carry fields for machines (`error.fields`) and a hint for people (`error.hint`), and they pickle.
"""

from __future__ import annotations

import re
from typing import Any

_LOGIN = re.compile(r"(\w+://)[^/\s@]+@")
"""Who asks, in an address: a user with a password, or a token."""


def without_logins(text: str) -> str:
    """`text` without the logins of addresses in it: ``redis://***@host:6379/0``."""
    return _LOGIN.sub(r"\1***@", text)


class DfpError(Exception):
    """Base of the tree.

    Args:
        message: what happened and where, one sentence.
        hint: what a person should do next; printed after the message.
        fields: the facts of the message, for machines.

    No login of an address stays in any of them: errors go to logs, to Dagster's pages, and to people.
    """

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        self.message = without_logins(message)
        self.hint = without_logins(hint)
        self.fields: dict[str, Any] = {
            name: without_logins(fact) if isinstance(fact, str) else fact for name, fact in fields.items()
        }
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.fields)


def _rebuild(kind: type[DfpError], message: str, hint: str, fields: dict[str, Any]) -> DfpError:
    return kind(message, hint=hint, **fields)


class PermanentError(DfpError):
    """Trying again changes nothing."""


class InputError(PermanentError):
    """Data at the border is wrong. Fields: `file`, and where known `row` (1 = first data row) and `column`."""


class InvalidNameError(PermanentError):
    """A name the lake cannot hold. Fields: `name`."""


class NotFoundError(PermanentError):
    """No such ref, object, table or run. Fields name it."""


class AlreadyExistsError(PermanentError):
    """Something of that name is there already. Fields name it."""


class ReadOnlyError(PermanentError):
    """A write to something that cannot be written: a tag, a commit, or the lake outside a run."""


class FencedError(PermanentError):
    """Another run owns the branch. Fields: `branch`, `owner`, `writer`."""


class MergeConflictError(PermanentError):
    """Both sides changed the same thing. Fields: `conflicts`, a list of `schemas.Conflict`."""

    @property
    def conflicts(self) -> list[Any]:
        return list(self.fields.get("conflicts", ()))


class HeldBackError(PermanentError):
    """The gate did not publish. Fields: `run_id`, `branch`, `reasons` (list of sentences)."""

    @property
    def reasons(self) -> list[str]:
        return list(self.fields.get("reasons", ()))


class CorruptLakeError(PermanentError):
    """Stored bytes do not match their name. Fields: `path`, `expected`, `actual`."""


class ConfigurationError(PermanentError):
    """Settings that cannot work. Fields: `setting`."""


class DeviceError(PermanentError):
    """A phone refused or failed what it was asked. Fields: `situation`, one word; `serial` where one is known."""


class CalibrationError(PermanentError):
    """Too little data for a number that would mean something."""


class TransientError(DfpError):
    """The same call may succeed later."""


class StaleHeadError(TransientError):
    """The branch moved since it was read. Fields: `branch`, `expected`, `actual`."""


class DiskFullError(TransientError):
    """No room for what should be written; nothing was changed. Fields: `place`."""


class DeviceBusyError(TransientError):
    """A phone is offline, too hot or too slow just now. Fields: `situation`, one word; `serial`."""


class UnreachableError(TransientError):
    """A server or source did not answer. Fields: `address`."""


class UnknownOutcomeError(DfpError):
    """The write may or may not have landed. Look at the lake before trying again."""
