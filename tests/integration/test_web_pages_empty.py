"""What stands there before there is anything: it says what would be there, and what makes it so."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reconciler.web.asgi import create_web
from tests.parts.asgi import Answered, Caller
from tests.parts.found_stacks import write_containers
from tests.parts.web_daemon import open_application

EMPTY = {
    "/": "Already running?",
    "/new/adopt": "Nothing runs under compose there",
    "/hosts": "Only this machine so far",
    "/deliveries": "Nothing has arrived yet",
    "/registries/docker.io": "No project’s image is looked up there",
    "/hosts/local": "Nothing yet",
}


def test_nothing_teaches(tmp_path: Path) -> None:
    write_containers(tmp_path)
    application = open_application(tmp_path)

    async def story() -> dict[str, Answered]:
        caller = Caller(create_web(application), peer="local:0")
        return {path: await caller.ask("GET", path) for path in EMPTY}

    try:
        # A browser that an earlier test began keeps a loop of its own in this thread.
        with ThreadPoolExecutor(1) as thread:
            answers = thread.submit(asyncio.run, story()).result()
    finally:
        application.close()
    for path, says in EMPTY.items():
        assert (answers[path].status, says in answers[path].text) == (200, True), path
