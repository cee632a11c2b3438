"""The driver of a SparkApplication: dbt in one Spark session, on the lake's tables at one ref.

`spark-submit` runs this file in the image `dfp-spark`; its arguments are dbt's. See `spark_application`, which reads
what it prints.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dfp_platform.errors import ConfigurationError
from dfp_platform.resources.spark import catalog_configuration
from dfp_platform.resources.spark_application import EXIT, pieces
from dfp_platform.settings import PROJECT_ROOT, settings

WRITTEN = ("run_results.json", "manifest.json")
"""What the step that waits reads of dbt."""


def main(arguments: Sequence[str]) -> int:
    """Run dbt here; print its events, the files it wrote, and how it ended. Returns 0 if dbt could say how."""
    from dbt.cli.main import dbtRunner

    project = PROJECT_ROOT / "dbt_project"
    os.environ["DFP_SPARK"] = json.dumps(_tables())
    with tempfile.TemporaryDirectory() as folder:
        places = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", folder]
        os.environ["DBT_LOG_PATH"] = folder
        result = dbtRunner().invoke([*arguments, *places, "--target", "spark"])  # the last one counts
        for name in WRITTEN:
            if (file := Path(folder) / name).exists():
                _print(*pieces(name, file.read_bytes()))
    if result.exception is not None:
        sys.stderr.write(f"dbt stopped: {result.exception}\n")
    _print(json.dumps({EXIT: 0 if result.success else 1 if result.exception is None else 2}))
    return 0


def _tables() -> dict[str, str]:
    """How this session finds the tables: by the catalog server that the environment names, at the run's branch."""
    if not settings().catalog_uri:
        raise ConfigurationError(
            "the driver knows no catalog", hint="set DFP_CATALOG_URI in the SparkApplication", setting="catalog_uri"
        )
    secret = settings().catalog_token
    token = secret.get_secret_value() if secret else None
    return {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        **catalog_configuration(settings().catalog_uri or "", os.environ["DFP_REF"], token=token),
    }


def _print(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != here]  # its dbt.py is not dbt
    sys.exit(main(sys.argv[1:]))
