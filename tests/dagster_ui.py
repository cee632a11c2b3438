"""Dagster's UI as a person uses it, in Chromium.

Everything that knows how Dagster 1.13 words and builds its pages is in this file: an upgrade of Dagster starts here. It
keeps to addresses, roles and words that a person sees; none of the UI's class names.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright

CHROMIUM = which("chromium") or "/usr/bin/chromium"
"""Debian's; Playwright's own build would be a download from outside the package registries."""

SIZE = {"width": 1440, "height": 900}
A_LOOK = 60_000
"""Milliseconds until something that is there is seen; pages load code and ask the server."""

A_RUN = 600_000
"""Milliseconds until a run has ended; a minute on a quiet machine."""

FOREIGN = ("/graphql", "favicon", "Failed to load resource")
"""Parts of console errors that say a request was given up: the UI does that when a page is left."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class DagsterUI:
    """One tab on Dagster's UI.

    Attributes:
        at: address of the UI, without a slash at its end.
        errors: what the console has called an error, and scripts have thrown, so far.
    """

    page: Page
    at: str
    errors: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, at: str, **options: Any) -> DagsterUI:
        ui = cls(browser.new_page(viewport=SIZE, **options), at)
        ui.page.set_default_timeout(A_LOOK)
        ui.page.on("console", lambda said: ui._heard(said.text) if said.type == "error" else None)
        ui.page.on("pageerror", lambda error: ui._heard(str(error)))
        return ui

    def _heard(self, error: str) -> None:
        if not any(part in error for part in FOREIGN):
            self.errors.append(error)

    def graph(self, *, last: str) -> list[str]:
        """Open the asset graph, wait until the group `last` is drawn; all groups by name, from left to right."""
        self._go("/asset-groups")
        self.page.get_by_role("button", name="Materialize all").wait_for()
        boxes = self.page.locator("foreignObject")
        boxes.filter(has_text=last).first.wait_for()
        placed = boxes.evaluate_all("all => all.map(one => [one.getBoundingClientRect().x, one.textContent.trim()])")
        return [name for _, name in sorted(placed)]

    def open_job(self, name: str) -> None:
        """Open the launchpad of a job from the list of jobs, filled with its configuration."""
        self._go("/jobs")
        self.page.get_by_text(name, exact=True).click()
        self.page.wait_for_url(f"**/jobs/{name}")
        self._go(f"/locations/dfp/jobs/{name}/playground")
        self.page.get_by_text("No errors").wait_for()

    def launch(self) -> str:
        """Launch what the launchpad shows, whole: not one partition. The page of the run is open then.

        Returns:
            The run's id.
        """
        self.page.get_by_role("button", name="Launch Run").click()
        self.page.get_by_role("button", name="Confirm").click()
        self.page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
        return self.page.url.rsplit("/", 1)[1].split("?")[0]

    def ended(self) -> str:
        """Wait until the run whose page is open is over; how it ended: ``Success``, ``Failure``, ``Canceled``."""
        over = self.page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
        over.wait_for(timeout=A_RUN)
        return over.inner_text()

    def latest_run(self) -> None:
        """Open the page of the newest run, once its log is shown."""
        self._go("/runs")
        self.page.get_by_role("link", name="View", exact=True).first.click()
        self.page.get_by_text("RUN_SUCCESS").first.wait_for()

    def asset(self, key: str) -> dict[str, str]:
        """Open an asset's page; its metadata, label to text."""
        self._go(f"/assets/{key}")
        self.page.get_by_text("lake/commit").first.wait_for()
        rows = [[cell.strip() for cell in row.inner_text().split("\t")] for row in self.metadata.all()]
        return {row[0]: row[-1] for row in rows if len(row) > 1}

    @property
    def metadata(self) -> Locator:
        """The rows of the metadata on an asset's page."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell"))

    def charts(self) -> list[str]:
        """Titles of the images that the open page shows without a click, once each is drawn."""
        self.page.wait_for_function("() => [...document.images].every(one => one.complete)")
        images = self.page.locator("img").filter(visible=True)
        found = images.evaluate_all("all => all.map(one => [one.alt, one.naturalWidth, one.src])")
        return [title for title, width, source in found if width > 0 and source.startswith("data:image/svg")]

    def checks(self, key: str) -> dict[str, str]:
        """Open the checks of an asset; name to what the list says of it: ``Succeeded``, ``Failed``, ``Warned``."""
        self._go(f"/assets/{key}?view=checks")
        self.page.get_by_text("Latest execution").wait_for()
        said = self.page.get_by_text(re.compile("^(Succeeded|Failed|Warning|Not evaluated|In progress)$"))
        said.first.wait_for()
        listed = said.evaluate_all("all => all.map(one => [one.previousElementSibling.title, one.textContent])")
        return {name: verdict.capitalize() for name, verdict in listed}

    def follow(self, label: str) -> Page:
        """Follow a link among the metadata of the asset whose page is open; the tab that it opens."""
        row = self.metadata.filter(has=self.page.get_by_role("cell", name=label, exact=True))
        with self.page.expect_popup() as opened:
            row.get_by_role("link").first.click()
        return opened.value

    def picture(self, path: Path, part: Mapping[str, float]) -> None:
        """Keep a picture of a part of the page: `x`, `y`, `width` and `height`, in pixels."""
        self.page.screenshot(path=path, clip={**part})

    def _go(self, path: str) -> None:
        self.page.goto(f"{self.at}{path}", wait_until="domcontentloaded")


@contextmanager
def shown_when_broken(ui: DagsterUI) -> Iterator[None]:
    """What the page looked like goes to a folder whose path is printed, if the block fails."""
    try:
        yield
    except BaseException:
        folder = Path(tempfile.mkdtemp(prefix="dfp-ui-"))
        print(f"{ui.page.url}: the page as it was is in {folder}; console: {ui.errors or 'quiet'}")
        try:
            ui.page.screenshot(path=folder / "page.png")
            (folder / "page.txt").write_text(ui.page.inner_text("body"))
        except Error as error:
            print(f"no picture of it: {error}")
        raise
