"""A seeded generator of KronoDroid-shaped apps: the real columns with the real quirks, and no real app among them.

Rows come in blocks, each from its own random stream, so that a sample of any size needs little memory and a smaller
sample is the beginning of a larger one. What belongs to the package file (name, label, date, permissions, sizes) is
drawn from a stream that both devices share: as in the real set, most apps ran on both, with equal labels and other
counts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfp_platform.ingest import sample_profile as profile
from dfp_platform.ingest.columns import (
    COLUMNS,
    LANDED_NAMES,
    PERMISSIONS,
    STATIC_COUNTS,
    SYSCALLS,
    landed_schema,
)

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

GENERATOR = "sample-1"
"""Version of the generator; a change of what it makes is a new one."""

BLOCK = 4096
"""Rows drawn at a time."""

DEVICES = ("real_device", "emulator")

_WORLD = 20210
"""Seed of what is the same in every sample: how families differ, what changes over the years."""

_RARE = 0.001
"""Share of apps that make one of the system calls which the profile does not list."""

_SYLLABLES = tuple(
    "an bo cal dra el fun go hex ino jet kla lum mo nova ori pix quo ras sol tik uma vex wiz xan yo zen".split()  # noqa: SIM905
)
_ENDINGS = (
    "player",
    "notes",
    "chat",
    "lite",
    "game",
    "camera",
    "launcher",
    "keyboard",
    "browser",
    "free",
    "pro",
    "vpn",
)


@dataclass(frozen=True)
class _World:
    """What families, years and devices do to apps; the same for every seed. Axes: family, feature."""

    called: NDArray[np.float32]
    count: NDArray[np.float32]
    spread: NDArray[np.float32]
    load: NDArray[np.float32]
    asked: NDArray[np.float32]
    topic: NDArray[np.float32]
    family_asked: NDArray[np.float32]
    family_count: NDArray[np.float32]
    asked_by_year: NDArray[np.float32]
    count_by_year: NDArray[np.float32]
    device_count: NDArray[np.float32]
    profiled: NDArray[np.int64]
    rare: NDArray[np.int64]


def _table(text: str) -> dict[str, list[float]]:
    cells = [line.split() for line in text.replace("|", "\n").splitlines() if line.strip()]
    return {name: [float(value) for value in values] for name, *values in cells}


def _logit(share: Any) -> Any:
    import numpy as np

    return np.log(share / (1 - share)).astype(np.float32)


@cache
def _world() -> _World:
    import numpy as np

    calls, asks = _table(profile.SYSCALL_TABLE), _table(profile.PERMISSION_TABLE)
    shape = np.array([calls[name] for name in calls], np.float32).T
    wanted = np.array([asks.get(name, (0.0006, 0.0012)) for name in PERMISSIONS], np.float32).T
    random = np.random.default_rng(_WORLD)

    def effect(*size: int, scale: float) -> NDArray[np.float32]:
        return random.normal(0, scale, size).astype(np.float32)

    families, topics = len(profile.FAMILIES), 5
    return _World(
        called=_logit(np.clip(shape[[0, 3]], 0.002, 0.998)),
        count=shape[[1, 4]],
        spread=shape[[2, 5]],
        load=effect(topics, shape.shape[1], scale=0.35) + np.array([[0.55], *[[0.0]] * (topics - 1)], np.float32),
        asked=_logit(wanted),
        topic=effect(topics, len(PERMISSIONS), scale=0.6) + np.array([[0.7], *[[0.0]] * (topics - 1)], np.float32),
        family_asked=effect(families, len(PERMISSIONS), scale=1.2),
        family_count=effect(families, shape.shape[1], scale=0.5),
        asked_by_year=effect(len(PERMISSIONS), scale=0.06),
        count_by_year=np.float32(0.04) + effect(shape.shape[1], scale=0.04),
        device_count=np.stack([np.zeros(shape.shape[1], np.float32), effect(shape.shape[1], scale=0.5) - 0.3]),
        profiled=np.array([SYSCALLS.index(name) for name in calls]),
        rare=np.array([i for i, name in enumerate(SYSCALLS) if name not in calls][:75]),
    )


def batches(device: str, *, rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """Landed rows of one device, block by block.

    Args:
        device: ``real_device`` or ``emulator``.
        rows: how many apps; any number.
        seed: equal (rows, seed, device) give equal rows, and more rows begin with the same ones.
    """
    for start in range(0, rows, BLOCK):
        yield _block(device, seed, start // BLOCK).head(rows - start)


def write_csv(path: Path, *, rows: int, seed: int, device: str = "real_device") -> Path:
    """The sample as the published CSV: published names, CRLF, a line break inside each quoted `Package`.

    The file appears whole or not at all. Returns `path`.
    """
    published = {column.landed: column.published for column in COLUMNS}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        for number, block in enumerate(batches(device, rows=rows, seed=seed)):
            block.rename(published).write_csv(
                stream, include_header=not number, line_terminator="\r\n", quote_style="necessary"
            )
        stream.flush()
        os.fsync(stream.fileno())
    return part.replace(path)


def _block(device: str, seed: int, number: int) -> pl.DataFrame:
    """`BLOCK` apps. Two streams: one of the app, which devices share, and one of its execution."""
    import numpy as np
    import polars as pl

    app = np.random.default_rng([abs(seed), seed < 0, 1, number])
    execution = np.random.default_rng([abs(seed), seed < 0, 2, number, DEVICES.index(device)])
    day, year, malware, family = _kind(app)
    taste = app.standard_normal((BLOCK, _world().topic.shape[0]), np.float32)
    bad = np.where(malware, app.beta(9.0, 1.5, BLOCK), app.beta(0.5, 9.0, BLOCK)).astype(np.float32)
    columns: dict[str, Any] = {"malware": malware}
    columns |= _permissions(app, year, bad, family, taste)
    columns |= _static_counts(app, bad, taste)
    columns |= _leaks(app, malware, family)
    columns |= _dated(day)
    own = app.random(BLOCK) < 0.1  # apps that only one of the devices ran
    columns |= _identity(app, device, seed, number, malware, own)
    columns |= _calls(execution, device, year, bad, family, taste)
    schema = landed_schema()
    return pl.DataFrame({name: pl.Series(name, columns[name]).cast(schema[name]) for name in LANDED_NAMES})


def _kind(random: np.random.Generator) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Per app: days since 1970, years since 2008 as a fraction, label, and family (−1 for none)."""
    import numpy as np

    index = np.searchsorted(np.cumsum(profile.YEAR_SHARE)[:-1], random.random(BLOCK), side="right")
    first = np.array([np.datetime64(f"{year}-01-01", "D").astype(int) for year in (*profile.YEARS, 2021)])
    day = first[index] + (random.random(BLOCK) * (first[index + 1] - first[index])).astype(np.int64)
    malware = random.random(BLOCK) < np.array(profile.MALWARE_SHARE)[index]
    families = profile.FAMILIES
    around = np.array([f.year for f in families])[None] - (np.array(profile.YEARS)[:, None] + 0.5)
    weight = np.array([f.share for f in families])[None] * (np.exp(-0.5 * (around / 1.8) ** 2) + 0.002)
    steps = np.cumsum(weight / weight.sum(1, keepdims=True), 1)
    family = (random.random(BLOCK)[:, None] > steps[index]).sum(1).clip(max=len(families) - 1)
    return day, ((day - first[0]) / 365.25).astype(np.float32), malware, np.where(malware, family, -1)


def _permissions(
    random: np.random.Generator, year: NDArray, bad: NDArray, family: NDArray, taste: NDArray
) -> dict[str, Any]:
    """Flags that hang together, differ by family and move with the years, and the totals that count them."""
    import numpy as np

    world = _world()
    lean = _between(world.asked, bad) + taste @ world.topic - 0.3
    lean += bad[:, None] * np.where(family[:, None] >= 0, world.family_asked[family], 0)
    lean += (year[:, None] - 11) * world.asked_by_year  # the rates were measured in 2019
    flags = _chosen(random, lean)
    dangerous = np.array([name in profile.DANGEROUS for name in PERMISSIONS])
    signature = np.array([name.startswith("BIND_") or name in profile.SIGNATURE for name in PERMISSIONS])
    custom = random.poisson((0.5 + 0.7 * bad) * np.exp(0.5 * taste[:, 0] - 0.3))
    totals = {
        "nr_permissions": flags.sum(1),
        "normal": flags[:, ~dangerous & ~signature].sum(1),
        "dangerous": flags[:, dangerous].sum(1),
        "signature": flags[:, signature].sum(1),
        "custom_yes": custom > 0,
        "nr_custom": custom,
        "total_perm": flags.sum(1) + custom,
    }
    asked = dict(zip(PERMISSIONS, flags.T, strict=True)) | totals
    return {f"perm_{name.lower()}": values for name, values in asked.items()}


def _between(measured: NDArray, bad: NDArray) -> NDArray:
    """A measured row for benign apps and one for malware, mixed by how bad an app behaves (0 to 1)."""
    return measured[0] + bad[:, None] * (measured[1] - measured[0])


def _chosen(random: np.random.Generator, lean: NDArray) -> NDArray:
    """True with the probability whose logit is `lean`."""
    import numpy as np

    return random.random(lean.shape, np.float32) < 1 / (1 + np.exp(-lean))


def _calls(
    random: np.random.Generator, device: str, year: NDArray, bad: NDArray, family: NDArray, taste: NDArray
) -> dict[str, Any]:
    """System-call counts: most of them zero, the others with a heavy tail; `nr_syscalls` is exactly their sum."""
    import numpy as np

    world = _world()
    spread = _between(world.spread, bad)
    pace = taste + 0.5 * random.standard_normal(taste.shape, np.float32)
    size = _between(world.count, bad) + 0.75 * (pace @ world.load) * spread + world.device_count[DEVICES.index(device)]
    size += bad[:, None] * np.where(family[:, None] >= 0, world.family_count[family], 0)
    size += (year[:, None] - 11) * world.count_by_year
    size += 0.6 * spread * random.standard_normal(size.shape, np.float32)
    called = _chosen(random, _between(world.called, bad) + 0.9 * pace[:, :1])
    counts = np.zeros((len(SYSCALLS), BLOCK), np.int32)
    counts[world.profiled] = np.where(called, np.exp(np.clip(size, 0, 13)), 0).T
    seldom = random.random((len(world.rare), BLOCK), np.float32)
    counts[world.rare] = np.where(seldom < _RARE, 1 + (seldom * 20 / _RARE).astype(np.int32), 0)
    calls = {f"sys_{name.lower()}": counts[i] for i, name in enumerate(SYSCALLS)}
    return calls | {"sys_nr_syscalls": counts.sum(0, dtype=np.int64)}


def _static_counts(random: np.random.Generator, bad: NDArray, taste: NDArray) -> dict[str, Any]:
    """Sizes in bytes and what the manifest declares; larger apps declare more."""
    import numpy as np

    big = taste[:, 0].astype(np.float64)

    def drawn(benign: float, malware: float, spread: float, pull: float = 0.4) -> NDArray:
        middle = np.log(benign) + bad * (np.log(malware) - np.log(benign))
        return np.floor(np.exp(middle + pull * big + spread * random.standard_normal(BLOCK)))

    size = drawn(3.4e6, 2.2e6, 1.1)
    activities = drawn(5.4, 7.5, 0.9)
    services, main, receivers = drawn(0.8, 1.3, 0.6), 1 + drawn(0.6, 1.1, 0.8), drawn(0.8, 1.7, 0.8)
    values = (
        size.clip(8_000, 5e8),
        (size * (1.2 + random.random(BLOCK))).clip(12_000, 2e9),
        drawn(650, 320, 0.9).clip(5, 60_000),
        activities.clip(0, 2_000),
        services.clip(0, 60),
        (services * (1 + random.random(BLOCK))).clip(0, 120),
        main.clip(0, 200),
        (main * (1 + random.random(BLOCK))).clip(0, 300),
        receivers.clip(0, 80),
        (receivers * (1 + 2 * random.random(BLOCK))).clip(0, 300),
        (services + main + receivers).clip(0, 340),
        drawn(1.6, 2.6, 0.8).clip(0, 200),
    )
    return dict(zip(STATIC_COUNTS.values(), (v.astype(np.int64) for v in values), strict=True))


def _leaks(random: np.random.Generator, malware: NDArray, family: NDArray) -> dict[str, Any]:
    """What scanners and the publishers knew afterwards. A few benign rows name a family, as in the real set."""
    import numpy as np

    accused = ~malware & (random.random(BLOCK) < 0.04)
    scanners = np.clip(np.round(64 + 1.6 * random.standard_normal(BLOCK)), 42, 68).astype(int)
    share = np.where(malware, random.uniform(0.28, 0.6, BLOCK), np.where(accused, random.uniform(0.01, 0.24, BLOCK), 0))
    blamed = np.where(accused, random.integers(0, len(profile.FAMILIES), BLOCK), family)
    names = np.array([*(f.name for f in profile.FAMILIES), None], object)
    kinds = np.array([*(f.category for f in profile.FAMILIES), "Benign"], object)
    submitted = np.exp(np.where(malware, 0.9, 2.8) + 0.7 * random.standard_normal(BLOCK))
    return {
        "times_submitted": 1 + submitted.astype(int).clip(0, 5_000),
        "nr_contacted_ips": np.where(malware, random.poisson(0.05, BLOCK), 0),
        "scanners": scanners,
        "detection_ratio": np.round(np.round(share * scanners) / scanners, 9),
        "mal_family": names[blamed].tolist(),
        "categories": kinds[family].tolist(),
    }


def _dated(day: NDArray) -> dict[str, Any]:
    date = day.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    return {
        "highest_date": date,
        "year_month": month.astype("datetime64[D]"),
        "year": month.astype("datetime64[Y]").astype(int) + 1970,
    }


def _identity(
    random: np.random.Generator, device: str, seed: int, number: int, malware: NDArray, own: NDArray
) -> dict[str, Any]:
    """Digest and package name. Digests are unique; names are not: an app has versions, and malware takes names."""

    popular = random.random(BLOCK) < 0.5
    rank = 8_000.0 ** random.random(BLOCK)  # a few names have very many versions
    draws = random.integers(0, 1 << 62, BLOCK)
    digests, packages = [], []
    for i in range(BLOCK):
        origin = device if own[i] else "both"
        digests.append(hashlib.sha256(f"{GENERATOR}/{seed}/{origin}/{number * BLOCK + i}".encode()).hexdigest())
        name = int(rank[i]) * 2 + int(malware[i]) if popular[i] else int(draws[i])
        packages.append(_package(name))
    return {"sha256": digests, "package": packages}


def _package(number: int) -> str:
    """A package name for a number, with the line break that each published name ends in."""
    mixed = (number * 0x9E3779B97F4A7C15 + 0x1234567) & 0xFFFFFFFFFFFFFFFF
    part = [_SYLLABLES[(mixed >> shift) % len(_SYLLABLES)] for shift in (8, 16, 24, 32, 40)]
    return f"com.{part[0]}{part[1]}.{part[2]}{part[3]}{part[4]}{_ENDINGS[mixed % len(_ENDINGS)]}{mixed >> 52:x}\n"
