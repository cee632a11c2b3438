"""Where raw apps come from, as assets see it."""

from pathlib import Path
from typing import Literal

import dagster as dg

from dfp_platform.errors import ConfigurationError
from dfp_platform.settings import settings


class SourceResource(dg.ConfigurableResource):
    """A source of KronoDroid rows. Fields left empty are the configured ones.

    Attributes:
        name: auto, sample, archives, kaggle, or the path of a CSV or zip.
        sample_rows: rows per device that the seeded generator makes.
        seed: of the generator.
        write_disposition: `replace` what landed before, or `append` to it as one more load.
        new_syscalls: system calls that files may count beyond the known ones, separated by spaces.
    """

    name: str = ""
    sample_rows: int = 0
    seed: int = 0
    write_disposition: str = ""
    new_syscalls: str = ""

    @property
    def source(self) -> str:
        return self.name or settings().source

    @property
    def rows(self) -> int:
        return self.sample_rows or settings().sample_rows

    @property
    def chosen_seed(self) -> int:
        return self.seed or settings().seed

    @property
    def disposition(self) -> Literal["replace", "append"]:
        """Raises ConfigurationError: the configured one is neither."""
        chosen = self.write_disposition or settings().write_disposition
        if chosen not in ("replace", "append"):
            raise ConfigurationError(
                f"write_disposition is {chosen!r}", hint="use replace or append", setting="write_disposition"
            )
        return chosen

    @property
    def syscalls(self) -> tuple[str, ...]:
        return tuple((self.new_syscalls or settings().new_syscalls).replace(",", " ").split())

    @property
    def implausible_dates(self) -> Literal["reject", "null"] | None:
        """What happens to apps with dates no app can have; None: what suits the source."""
        return settings().implausible_dates

    @property
    def cache(self) -> Path:
        """Where downloads are kept."""
        return settings().home / "cache"

    @property
    def kaggle_token(self) -> str | None:
        token = settings().kaggle_api_token
        return token.get_secret_value() if token else None
