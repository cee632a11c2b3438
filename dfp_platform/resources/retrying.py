"""Trying a step again: what may go well another time is tried again after longer and longer waits, the rest is not."""

import sys
from dataclasses import dataclass

import dagster as dg

from dfp_platform.errors import PermanentError
from dfp_platform.resources.dagster_internals import ASSET_JOB
from dfp_platform.settings import retries_of, settings

NEVER_AGAIN = (
    PermanentError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)
"""Errors that the same step meets again: what has to be mended first, and mistakes of code."""


class RetryUnlessPermanent(dg.RetryPolicy):
    """Dagster's policy, but for an error that trying again cannot mend: such a step fails at once, with its reason."""

    @property
    def max_retries(self) -> int:  # pyrefly: ignore[bad-override]
        """How often a step is tried again. Dagster asks while it handles the error, which is how this knows it.

        Raises:
            dagster.Failure: the error at hand is not to be tried again.
        """
        error = sys.exception()
        if isinstance(error, NEVER_AGAIN):
            raise dg.Failure(str(error), allow_retries=False) from error
        return int(self[0])


@dataclass(frozen=True, slots=True)
class Retries:
    """How often steps are tried again, by job.

    Attributes:
        usual: of jobs that are not named.
        by_job: of those that are.
        seconds: until the first retry; the second comes three times as late, the third seven times.
    """

    usual: int
    by_job: dict[str, int]
    seconds: float

    def policy(self, job: str = ASSET_JOB) -> dg.RetryPolicy | None:
        """What a job's steps go by unless one has a policy of its own; None: they fail at once.

        Args:
            job: its name; the default is that of runs which the asset graph of the UI starts.
        """
        times = self.by_job.get(job, self.usual)
        if not times:
            return None
        return RetryUnlessPermanent(times, self.seconds, dg.Backoff.EXPONENTIAL, dg.Jitter.PLUS_MINUS)


def retries() -> Retries:
    """Those of the settings."""
    usual, by_job = retries_of(settings().retries)
    return Retries(usual, by_job, settings().retry_seconds)
