"""A real browser: Debian's Chromium, in its build without a screen, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.parts.still_network import still_network

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
#: Where a failed test leaves pictures for a person to look at; ignored by git.
ARTEFACTS = Path(os.environ.get("RECONCILER_TEST_ARTEFACTS", "artefacts"))
FLAGS = [
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It would look for updates and more at every start.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 15_000


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium without a screen; each context made in it has a fresh profile."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        program, flags = stack.enter_context(still_network(CHROMIUM, folder))
        playwright = stack.enter_context(sync_playwright())
        running = playwright.chromium.launch(
            executable_path=program, headless=True, args=[*FLAGS, *flags]
        )
        # A busy machine takes its time; what is never so fails a little later.
        expect.set_options(timeout=_PATIENCE_MS)
        try:
            yield running
        finally:
            running.close()


def take_screenshot(page: Page, name: str) -> Path:
    """Keep a picture of the whole page among the artefacts; return its path."""
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
