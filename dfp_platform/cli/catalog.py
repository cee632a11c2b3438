"""`dfp catalog …`: the lake's tables for every engine that speaks Iceberg's REST protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.listening import refuse_open_door, tls_of
from dfp_platform.cli.logs import configure_log
from dfp_platform.cli.screen import Json, err, print_json, print_table
from dfp_platform.schemas import MAIN

Ref = Annotated[str, typer.Option(help="A branch, tag or commit.")]

app = typer.Typer(help="The lake's tables for Spark, Trino, DuckDB, PyIceberg …", no_args_is_help=True)


@app.callback()
def catalog() -> None:
    """The lake's tables for Spark, Trino, DuckDB, PyIceberg …"""


@app.command()
def describe(
    table: Annotated[str, typer.Argument(help="Namespace and name: marts.fct_training_dataset.")],
    ref: Ref = MAIN,
    as_json: Json = False,
) -> None:
    """What a table holds: each column with its type and what it counts or says."""
    from dfp_platform.catalog import open_catalog
    from dfp_platform.catalog.describing import column_docs

    columns = column_docs(open_catalog(opened(), ref), table)
    if as_json:
        print_json([{"column": name, "type": kind, "description": doc} for name, kind, doc in columns])
    else:
        print_table(["column", "type", "description"], columns)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: any free one.")] = 8_181,
    lake: Annotated[str | None, typer.Option(help="The lake to serve; else the configured one.")] = None,
    allow_location: Annotated[
        list[str] | None,
        typer.Option(help="Where clients may also put tables, besides the lake's warehouse: a folder or s3:// prefix."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the address as JSON, once the server answers.")
    ] = False,
) -> None:
    """Serve every branch, tag and commit of the lake as an Iceberg REST catalog; the client's warehouse names it.

    Branches can be read and written, tags and commits read. Clients need the property `uri`, `warehouse` (a ref; else
    main), and, where DFP_CATALOG_TOKEN is set, `token` with that value or `credential` with a colon before it.
    With DFP_TLS_CERT and DFP_TLS_KEY it speaks HTTPS.
    How an S3 warehouse is reached, and keys to it that clients may have, are read from PYICEBERG_CATALOG__LAKE__S3__… .
    """
    from dfp_platform.catalog.rest.access import Access
    from dfp_platform.catalog.rest.app import Server, run
    from dfp_platform.catalog.storage import storage_properties
    from dfp_platform.settings import choose

    at = choose(lake=lake)
    configure_log()
    token, watcher = (told.get_secret_value() if told else None for told in (at.catalog_token, at.metrics_token))
    tls = tls_of(at)
    refuse_open_door(host, token, setting="catalog_token")
    server = Server(opened(), Access(token, watcher), storage_properties(), tuple(allow_location or ()))

    def ready(host: str, port: int) -> None:
        scheme = "https" if tls else "http"
        address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        if as_json:
            print_json({"uri": address})
        else:
            err().print(
                f"{server.lake.uri} is an Iceberg REST catalog at {address} (warehouse: a branch, tag or commit)"
            )

    run(server, host=host, port=port, ready=ready, tls=tls)
