from __future__ import annotations

import hashlib
import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from dfp_platform.errors import ConfigurationError, InputError, UnreachableError
from dfp_platform.ingest import DATASETS, Endpoints, land, origin
from dfp_platform.ingest.sources import kaggle, request
from dfp_platform.ingest.sources.archives import ARCHIVES, fetched
from dfp_platform.lake import open_lake
from tests.ingest_files import as_archive, edited, sample_rows, serving, without, write_rows, zipped, zipped_bytes
from tests.local_servers import free_port

DEVICE, EMULATOR = DATASETS
LEGITIMATE, MALWARE = ARCHIVES["real_device"]

# dlt imports sqlglot, whose optional parser says of itself, once per process, that it is no longer maintained


def published(folder):
    """The four archives as tiny zips beneath `folder`, with the quirks of the real ones."""
    for device, names in ARCHIVES.items():
        rows = sample_rows(folder.parent, rows=60, device=device)
        for label, name in enumerate(names):
            table = as_archive(rows, device=device, label=label)
            if name == "emulator/emu_malware_v1.zip":
                table = without(table, "FilesInsideAPK")
            zipped(folder / name, f"{Path(name).stem}.csv", table)


@pytest.fixture
def site(tmp_path):
    """A server that has the archives beneath /main."""
    published(tmp_path / "site" / "main")
    with serving(tmp_path / "site") as server:
        yield server


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def landed(lake, site, tmp_path):
    def call(dataset=DEVICE, *, source="archives", pinned=None, **options):
        endpoints = Endpoints(archives=f"{site.address}/main", kaggle=f"{site.address}/api/v1", pinned=pinned or {})
        defaults = {"sample_rows": 30, "seed": 7, "cache": tmp_path / "cache", "endpoints": endpoints}
        return land(lake, "main", dataset, source=source, **defaults | options)

    return call


def rows_at(lake, dataset=DEVICE):
    return pl.read_parquet(io.BytesIO(lake.read("main", f"raw/{dataset}/part-00000.parquet")))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nobody():
    """An address of this machine where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


# -- archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_archives_of_a_device_land_benign_first_with_their_digests_in_the_origin(lake, landed, tmp_path, dataset):
    landing = landed(dataset)
    device = DATASETS[dataset]
    rows = rows_at(lake, dataset)
    assert (landing.rows, landing.source, landing.synthetic) == (60, "archives", False)
    assert rows["malware"].to_list() == sorted(rows["malware"].to_list())
    assert rows["highest_date"].null_count() == 0
    files = origin(lake, "main", dataset).files
    assert [file.name for file in files] == [Path(name).name for name in ARCHIVES[device]]
    assert [file.sha256 for file in files] == [sha256(tmp_path / "site" / "main" / name) for name in ARCHIVES[device]]
    assert landing.inputs == tuple(file.sha256 for file in files)


def test_what_is_cached_is_not_asked_for_again(landed, site):
    first = landed()
    asked = len(site.requests)
    again = landed()
    assert (asked, len(site.requests)) == (2, 2)
    assert not again.changed
    assert again.commit == first.commit


def test_a_broken_connection_is_gone_on_from_where_it_broke(landed, site, tmp_path):
    site.cuts, site.cut_after = 2, 1_000
    told = []
    landing = landed(progress=lambda *fact: told.append(fact))
    assert landing.rows == 60
    assert [wanted for path, wanted, _ in site.requests if path.endswith(LEGITIMATE)] == [
        None,
        "bytes=1000-",
        "bytes=2000-",
    ]
    size = (tmp_path / "site" / "main" / LEGITIMATE).stat().st_size
    assert told[0] == (Path(LEGITIMATE).name, 0, size)
    assert (Path(LEGITIMATE).name, size, size) in told
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_download_that_breaks_too_often_goes_on_in_the_next_run(lake, landed, site, tmp_path):
    site.cuts, site.cut_after = 3, 700
    before = lake.resolve("main")
    with pytest.raises(UnreachableError) as caught:
        landed()
    assert caught.value.fields["address"].endswith(LEGITIMATE)
    assert "goes on where it broke off" in caught.value.hint
    assert lake.resolve("main") == before
    assert landed().rows == 60
    assert [wanted for _, wanted, _ in site.requests][:4] == [None, "bytes=700-", "bytes=1400-", "bytes=2100-"]


def test_a_part_that_is_no_beginning_of_the_file_any_more_is_begun_anew(landed, tmp_path):
    part = tmp_path / "cache" / "archives" / f"{LEGITIMATE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(10_000_000))
    assert landed().rows == 60


def test_a_wrong_checksum_is_refused_and_nothing_of_the_file_is_kept(lake, landed, tmp_path):
    before = lake.resolve("main")
    with pytest.raises(InputError) as caught:
        landed(pinned={MALWARE: "0" * 64})
    error = caught.value
    actual = sha256(tmp_path / "site" / "main" / MALWARE)
    assert error.fields == {"file": "real_malware_v1.zip", "expected": "0" * 64, "actual": actual}
    assert "real_malware_v1.zip: wrong checksum" in error.message
    assert "pin" in error.hint
    assert not (tmp_path / "cache" / "archives" / MALWARE).exists()
    assert lake.resolve("main") == before


def test_a_file_without_a_pin_is_held_to_what_was_seen_first(landed, tmp_path):
    landed(EMULATOR)
    benign, malware = ARCHIVES["emulator"]
    cached, served = tmp_path / "cache" / "archives" / malware, tmp_path / "site" / "main" / malware
    assert json.loads(cached.with_name(f"{cached.name}.seen.json").read_text())["sha256"] == sha256(cached)
    cached.unlink()
    served.write_bytes((tmp_path / "site" / "main" / benign).read_bytes())
    with pytest.raises(InputError, match=r"emu_malware_v1\.zip: wrong checksum") as caught:
        landed(EMULATOR)
    assert f"{cached.name}.seen.json" in caught.value.hint
    assert not cached.exists()


def test_a_cached_file_that_was_changed_is_refused(lake, landed, tmp_path):
    landed()
    cached = tmp_path / "cache" / "archives" / MALWARE
    cached.write_bytes(cached.read_bytes()[:-1])
    before = lake.resolve("main")
    with pytest.raises(InputError, match="was changed") as caught:
        landed()
    assert caught.value.hint == "delete it and run again"
    assert lake.resolve("main") == before


def test_a_truncated_archive_is_named(landed, tmp_path):
    served = tmp_path / "site" / "main" / MALWARE
    served.write_bytes(served.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"real_malware_v1\.zip is not a whole zip archive"):
        landed()


def test_apps_that_are_published_under_both_labels_are_left_out_and_counted(lake, landed, tmp_path):
    rows = sample_rows(tmp_path, rows=60)
    at, label = rows[0].index("sha256"), rows[0].index("Malware")
    benign = next(row for row in rows[1:] if row[label] == "0")
    doubled = [*rows, [*benign[:label], "1", *benign[label + 1 :]]]
    zipped(tmp_path / "site" / "main" / MALWARE, "real_malware_v1.csv", as_archive(doubled, label=1))
    landing = landed()
    assert (landing.rows, landing.mended) == (59, {"rows left out because their app is published twice": 2})
    assert benign[at] not in rows_at(lake)["sha256"].to_list()
    assert origin(lake, "main", DEVICE).mended == landing.mended


def test_row_numbers_stay_those_of_the_file_when_rows_before_were_left_out(landed, tmp_path):
    rows = sample_rows(tmp_path, rows=60)
    label = rows[0].index("Malware")
    bad = [rows[0], *(row for row in rows[1:] if row[label] == "1")]
    benign = next(row for row in rows[1:] if row[label] == "0")
    bad = [bad[0], [*benign[:label], "1", *benign[label + 1 :]], *bad[1:]]
    table = edited(as_archive(bad), {(5, "futex"): "oops"})
    zipped(tmp_path / "site" / "main" / MALWARE, "real_malware_v1.csv", table)
    with pytest.raises(InputError) as caught:
        landed()
    assert caught.value.fields["file"] == "real_malware_v1.zip/real_malware_v1.csv"
    assert (caught.value.fields["row"], caught.value.fields["column"]) == (5, "futex")


def test_a_column_that_only_benign_apps_have_cannot_tell_the_label(lake, landed):
    mended = landed(EMULATOR).mended
    assert mended == {"columns landed as missing because only benign apps have them: app_files_inside_apk": 1}
    assert rows_at(lake, EMULATOR)["app_files_inside_apk"].null_count() == 60
    landed(DEVICE)
    assert rows_at(lake, DEVICE)["app_files_inside_apk"].null_count() == 0


def epoch_archive(tmp_path):
    rows = as_archive(sample_rows(tmp_path, rows=60), label=1)
    cells = {(1, "HighestModDate"): "1/1/1980", (2, "HighestModDate"): "6/30/2050"}
    zipped(tmp_path / "site" / "main" / MALWARE, "real_malware_v1.csv", edited(rows, cells))


def test_the_archives_dates_of_1980_and_the_future_land_as_missing(lake, landed, tmp_path):
    epoch_archive(tmp_path)
    landing = landed()
    assert landing.mended == {"dates landed as missing": 2}
    assert rows_at(lake)["highest_date"].null_count() == rows_at(lake)["year"].null_count() == 2


def test_the_archives_dates_can_be_refused_too(landed, tmp_path):
    epoch_archive(tmp_path)
    with pytest.raises(InputError) as caught:
        landed(implausible_dates="reject")
    assert [(o.row, o.column, o.value) for o in caught.value.fields["offences"]] == [
        (1, "HighestModDate", "1980-01-01"),
        (2, "HighestModDate", "2050-06-30"),
    ]


def test_the_known_archives_are_pinned():
    assert Endpoints().archives == "https://raw.githubusercontent.com/aleguma/kronodroid/main"
    assert {name: digest[:8] for name, digest in request.Endpoints().pinned.items()} == {
        LEGITIMATE: "21f6d507",
        MALWARE: "03aa36a9",
    }


# -- auto ---------------------------------------------------------------------------------------------------------


def test_auto_takes_the_archives_of_both_devices_where_they_can_be_had(landed, site):
    landing = landed(source="auto")
    assert (landing.source, landing.synthetic, landing.rows) == ("archives", False, 60)
    assert len(site.requests) == 4


@pytest.mark.parametrize("dataset", DATASETS)
def test_auto_falls_back_to_the_sample_and_says_loudly_that_it_is_synthetic(lake, landed, dataset, caplog):
    with caplog.at_level(logging.WARNING):
        landing = landed(dataset, source="auto", endpoints=Endpoints(archives=nobody()))
    assert (landing.source, landing.synthetic, landing.rows) == ("sample", True, 30)
    assert "SYNTHETIC DATA" in caplog.text
    found = origin(lake, "main", dataset)
    assert found.synthetic
    assert found.note.startswith("SYNTHETIC")
    assert "could not be reached" in found.note
    assert "127.0.0.1" not in found.note, "equal on every machine and in every run"


def test_auto_makes_up_no_device_while_the_other_is_real(landed, tmp_path):
    (tmp_path / "site" / "main" / ARCHIVES["emulator"][1]).unlink()
    assert landed(DEVICE, source="auto").synthetic
    assert landed(EMULATOR, source="auto").synthetic


def test_auto_needs_no_network_once_the_archives_are_cached(landed):
    landed(source="auto")
    landing = landed(EMULATOR, source="auto", endpoints=Endpoints(archives=nobody(), pinned={}))
    assert (landing.source, landing.rows) == ("archives", 60)


def test_auto_does_not_paper_over_a_wrong_checksum(landed):
    with pytest.raises(InputError, match="wrong checksum"):
        landed(source="auto", pinned={LEGITIMATE: "0" * 64})


# -- Kaggle -------------------------------------------------------------------------------------------------------


@pytest.fixture
def kaggled(site, tmp_path):
    """Puts a Kaggle data set on the server, as CSV or Parquet."""
    site.token = "KGAT_secret"

    def put(suffix="csv"):
        members = {}
        for device, word in (("real_device", "real"), ("emulator", "emu")):
            rows = as_archive(sample_rows(tmp_path, rows=25, device=device), device=device)
            content = write_rows(tmp_path / "k.csv", rows).read_bytes()
            if suffix == "parquet":
                options = arrow_csv.ParseOptions(newlines_in_values=True)
                table, buffer = arrow_csv.read_csv(io.BytesIO(content), parse_options=options), io.BytesIO()
                parquet.write_table(table, buffer)
                content = buffer.getvalue()
            members[f"kronodroid-2021-{word}-v1.{suffix}"] = content
        zipped_bytes(tmp_path / "site" / "api/v1/datasets/download" / kaggle.DATASET, members)

    return put


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_kaggle_gives_either_device_to_whoever_has_a_token(lake, landed, site, kaggled, dataset, suffix, tmp_path):
    kaggled(suffix)
    landing = landed(dataset, source="kaggle", kaggle_token="KGAT_secret")
    assert (landing.source, landing.synthetic, landing.rows) == ("kaggle", False, 25)
    assert site.requests == [(f"/api/v1/datasets/download/{kaggle.DATASET}", None, "Bearer KGAT_secret")]
    header, *rows = sample_rows(tmp_path, rows=25, device=DATASETS[dataset])
    assert rows_at(lake, dataset)["sha256"].to_list() == [row[header.index("sha256")] for row in rows]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert b"KGAT_secret" not in kept
    assert b"KGAT_secret" not in lake.read("main", f"raw/{dataset}/origin.json")


def test_without_a_token_kaggle_says_what_to_set(landed, site, kaggled):
    kaggled()
    with pytest.raises(ConfigurationError, match="no token is set") as caught:
        landed(source="kaggle")
    assert "KAGGLE_API_TOKEN" in caught.value.hint
    assert site.requests == []


def test_a_refused_token_is_a_configuration_error_and_its_text_stays_secret(lake, landed, kaggled):
    kaggled()
    before = lake.resolve("main")
    with pytest.raises(ConfigurationError, match="refused the credentials") as caught:
        landed(source="kaggle", kaggle_token="KGAT_wrong")
    assert "KGAT_wrong" not in str(caught.value)
    assert lake.resolve("main") == before


def test_a_kaggle_download_without_the_device_is_named(landed, kaggled, site, tmp_path):
    kaggled()
    zipped_bytes(tmp_path / "site" / "api/v1/datasets/download" / kaggle.DATASET, {"other.csv": b"a\n1\n"})
    with pytest.raises(InputError, match="holds no table whose name has 'real' in it"):
        landed(source="kaggle", kaggle_token="KGAT_secret")


def test_two_that_want_one_archive_at_once_download_it_once(site, tmp_path):
    wanted = request.Request("real_device", 1, 7, tmp_path / "cache", endpoints=Endpoints(f"{site.address}/main"))
    unpinned = replace(wanted, endpoints=replace(wanted.endpoints, pinned={}))
    with ThreadPoolExecutor(4) as threads:
        files = list(threads.map(lambda _: fetched(unpinned, MALWARE), range(4)))
    assert len(site.requests) == len(set(files)) == 1


def test_a_download_appears_in_the_cache_whole_or_not_at_all(landed, site, tmp_path):
    site.cuts, site.cut_after = 3, 500
    with pytest.raises(UnreachableError):
        landed()
    assert [path.name for path in (tmp_path / "cache").rglob("*.zip*") if path.suffix != ".lock"] == [
        f"{Path(LEGITIMATE).name}.part"
    ]
