"""What a fleet file of 1,000 projects costs: planned, applied, applied again, in each form."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.app import Application
from reconciler.domain.document import DocumentForm
from tests.benchmarks.table import Row, print_table
from tests.parts.web_daemon import open_application

pytestmark = [pytest.mark.bench, pytest.mark.needs_git, pytest.mark.timeout(300)]

PROJECTS = 1_000


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    opened = open_application(tmp_path)
    yield opened
    opened.close()


def fleet() -> str:
    """Return a file in which every project has a target with a health check."""
    lines = [
        "[hosts.web1]\nalias = 'web1'",
        "[templates.web]\nkind = 'compose'\nexpose_service = 'web'\nexpose_port = 8080",
    ]
    for number in range(PROJECTS):
        name = f"p{number:04}"
        lines += [
            f"[projects.{name}]\nextends = 'web'\nurl = 'https://git.example/{name}.git'",
            f"[projects.{name}.targets.web1]\nport = 8080\nhealth_path = '/healthz'",
            "environment = { LEVEL = 'info' }",
        ]
    return "\n".join(lines)


def test_a_thousand_projects(application: Application) -> None:
    """Seconds the first time, and well under one the second."""
    files, text = application.fleet, fleet().encode()
    rows = []

    def measure(what: str, aim: str, content: bytes, form: DocumentForm) -> None:
        start = time.perf_counter()
        applied = files.apply(content, form, actor="bench")
        rows.append(Row(f"{what}, s", time.perf_counter() - start, note=aim))
        assert applied.difference.empty is (what != "first time")

    measure("first time", "aim: under 10", text, DocumentForm.TOML)
    measure("second time", "aim: under 1", text, DocumentForm.TOML)
    for form in DocumentForm:
        exported = files.fleets.export(form).encode()
        note = f"{len(exported) >> 10} KiB"
        measure(f"its export as {form}", note, exported, form)
    print_table(f"fleet file of {PROJECTS:,} projects", rows)
