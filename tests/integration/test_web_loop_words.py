"""Whether the pages have words for all that the daemon does again and again."""

from pathlib import Path

from reconciler.app import build
from reconciler.config import load_config
from reconciler.web.pages.loops import LOOPS


def test_every_loop_has_words(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    settings = {"HOME": str(tmp_path), "RECONCILER_DATA_FOLDER": str(folder)}
    fleet = tmp_path / "fleet.yaml"
    application = build(load_config(environment=settings | {"RECONCILER_FLEET_FILE": str(fleet)}))
    try:
        there = {loop.name for loop in application.daemon.loops()}
    finally:
        application.close()
    assert there == LOOPS.keys()
