"""Answers of the REST catalog, and what each error of the lake and of pyiceberg is in Iceberg's words."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError as PydanticValidationError
from pyiceberg import exceptions as iceberg

from dfp_platform import errors

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: a JSON body, or none."""

    status: int = 200
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


_AT_REF = re.compile(r" \(at [a-z0-9_-]+\)$")

NO_CONTENT = Answer(204)

_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str], ...] = (
    (iceberg.NoSuchNamespaceError, 404, "NoSuchNamespaceException"),
    (iceberg.NoSuchTableError, 404, "NoSuchTableException"),
    (iceberg.NoSuchViewError, 404, "NoSuchViewException"),
    (iceberg.NamespaceNotEmptyError, 409, "NamespaceNotEmptyException"),
    (
        (iceberg.NamespaceAlreadyExistsError, iceberg.TableAlreadyExistsError, iceberg.ViewAlreadyExistsError),
        409,
        "AlreadyExistsException",
    ),
    (iceberg.CommitFailedException, 409, "CommitFailedException"),
    # 500 and no other: clients try 429, 502, 503 and 504 again by themselves, and this must not be tried blindly
    ((iceberg.CommitStateUnknownException, errors.UnknownOutcomeError), 500, "CommitStateUnknownException"),
    (iceberg.UnauthorizedError, 401, "NotAuthorizedException"),
    ((iceberg.ForbiddenError, errors.ReadOnlyError, errors.FencedError), 403, "ForbiddenException"),
    (errors.NotFoundError, 404, "NoSuchWarehouseException"),
    (errors.StaleHeadError, 409, "CommitFailedException"),
    (errors.UnreachableError, 503, "ServiceUnavailableException"),
    (errors.CorruptLakeError, 500, "InternalServerError"),
    (
        (
            iceberg.ValidationError,
            iceberg.ValidationException,
            iceberg.BadRequestError,
            errors.PermanentError,
            PydanticValidationError,
        ),
        400,
        "BadRequestException",
    ),
    (ValueError, 400, "IllegalArgumentException"),
)
"""What an error is over HTTP, the first that fits."""


def error_answer(error: Exception) -> Answer:
    """The answer to a request that failed; what nobody foresaw is 500, its cause in the log and not in the answer."""
    for kinds, status, name in _KINDS:
        if isinstance(error, kinds):
            if status >= 500:
                _LOG.error("%s: %s", name, error)
            return refusal(status, name, _message(error))
    _LOG.exception("a request failed", exc_info=error)
    return refusal(500, "InternalServerError", f"The server failed ({type(error).__name__}); its log says why")


def refusal(status: int, kind: str, message: str) -> Answer:
    """An error as the specification writes it."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Answer(status, {"error": {"message": message, "type": kind, "code": status}}, headers)


def _message(error: Exception) -> str:
    if isinstance(error, PydanticValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    # clients compare some messages word for word, and which ref it was is in the address they asked
    return _AT_REF.sub("", str(error))
