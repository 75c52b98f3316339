"""A secret of every kind goes through a real deployment, and is found nowhere afterwards."""

import base64
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.parts.daemon import Daemon
from tests.parts.docker_engine import DockerEngine
from tests.parts.registry import PASSWORD, USERNAME, Registry
from tests.parts.shop import Images, Shop, hosted_shop

pytestmark = [pytest.mark.needs_docker, pytest.mark.needs_registry, pytest.mark.needs_git]


def forms(secret: str) -> set[bytes]:
    """Return what a secret looks like in output: raw, in a URL, in base64 wherever it starts."""
    found = {secret, quote(secret, safe="")}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret.encode()).decode()
        found.add(encoded[4 if before else 0 : -4])
    return {form.encode() for form in found}


class Sampler(threading.Thread):
    """Reads what the system shows of every process, again and again."""

    def __init__(self, needles: set[bytes]) -> None:
        super().__init__(daemon=True)
        self.needles = needles
        self.found: set[str] = set()
        self.samples = 0
        self._done = threading.Event()

    def run(self) -> None:
        """Sample until `end`."""
        me = str(os.getpid())
        while not self._done.wait(0.02):
            self.samples += 1
            for process in Path("/proc").glob("[0-9]*"):
                if process.name != me:
                    self._look(process)

    def _look(self, process: Path) -> None:
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                text = (process / name).read_bytes()
                if any(needle in text for needle in self.needles):
                    self.found.add(f"{name}: {text[:200]!r}")

    def end(self) -> None:
        """Stop sampling."""
        self._done.set()
        self.join()


@contextmanager
def sampled(needles: set[bytes]) -> Iterator[Sampler]:
    sampler = Sampler(needles)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.end()


def test_t48_no_secret_is_in_a_process_a_log_an_answer_or_a_file(
    engine: DockerEngine, daemon: Daemon, tmp_path: Path
) -> None:
    """Variables, a registry's password and tokens: argv, environment, log, API, database, disk."""
    variable = f"v4r+/{secrets.token_urlsafe(18)}=%$x"
    with Registry("htpasswd") as registry:
        images = Images(engine, registry)
        push_image(images)
        with hosted_shop(daemon, images, tmp_path) as shop:
            try_with(shop, variable)


def push_image(images: Images) -> None:
    """Push what is deployed, and see to it that it has to be pulled."""
    engine, host = images.engine, images.registry.host
    engine.docker("login", "-u", USERNAME, "--password-stdin", host, stdin=PASSWORD.encode())
    images.plain()
    engine.docker("logout", host)
    engine.docker("rmi", "--force", images.plain(), f"{engine.run_id}/plain:1")


def try_with(shop: Shop, variable: str) -> None:
    """Deploy with every kind of secret, well and badly, and look for them everywhere."""
    daemon, kept = shop.daemon, f"projects/{shop.name}/secrets"
    login = {"value": PASSWORD, "username": USERNAME}
    daemon.put(f"{kept}/registry:{shop.images.registry.host}", login)
    daemon.put(f"{kept}/variable:TOKEN", {"value": variable})
    pushed_with = shop.remote.partition("git:")[2].partition("@")[0]
    # The pusher's own git has its token in its arguments.
    seen = {form for one in (variable, PASSWORD, daemon.admin_token) for form in forms(one)}
    needles = seen | forms(pushed_with)
    with sampled(seen) as sampler:
        good = shop.version("one") + 'x-canary: "${TOKEN}"\n'
        shop.push(good)
        shop.deployed(1)
        # Quoted by what refuses it: compose's own parser.
        shop.push(good.replace("stop_signal: KILL", "mem_limit: '${TOKEN}'"))
        assert shop.settled(2)["status"] == "failed"
    assert sampler.samples > 20
    assert not sampler.found
    answers = [daemon.api.get(path.replace("NAME", shop.name)).text for path in SHOWN]
    shown = "\n".join([*answers, daemon.log]).encode()
    assert [needle for needle in needles if needle in shown] == []
    files = {path: path.read_bytes() for path in daemon.data.rglob("*") if path.is_file()}
    holding = {path.name for path, text in files.items() if any(n in text for n in needles)}
    assert holding == {"admin-token"}


SHOWN = (
    *("projects", "projects/NAME", "projects/NAME/why", "projects/NAME/secrets"),
    *("projects/NAME/triggers", "projects/NAME/images", "deployments", "deployments/1"),
    *("deployments/2", "deployments/1/log", "deployments/2/log", "status", "settings", "tokens"),
)
