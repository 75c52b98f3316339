"""A compose project of a real daemon: its repository, its images, and what runs of it."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts.compose_rig import POLITE
from tests.parts.daemon import FINAL, Daemon, Json
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.git_repository import Repository, environment
from tests.parts.registry import Registry
from tests.parts.waiting import eventually


@dataclass
class Images:
    """Images of one engine in one registry."""

    engine: DockerEngine
    registry: Registry
    _made: dict[str, str] = field(default_factory=dict)

    def push(self, tag: str = "app:1", *, version: str = "one", **made: Any) -> str:
        """Push an image that holds ``version`` under ``tag``; return its digest."""
        local = f"{self.engine.run_id}/{tag}"
        self.engine.build_image(local, files={"version": version}, **{"cmd": POLITE, **made})
        self._made[tag] = self.engine.push(local, self.registry.host, repository=tag)
        return self._made[tag]

    def plain(self) -> str:
        """Return the reference of one that stays up until it is told to end; made once."""
        if "plain:1" not in self._made:
            self.push("plain:1")
        return self.at("plain:1")

    def at(self, tag: str) -> str:
        """Return how a compose file names ``tag``."""
        return f"{self.registry.host}/{tag}"


@dataclass
class Pushed:
    """What came of a push."""

    commit: str
    said: str  #: on the pusher's terminal
    ok: bool = True


@dataclass
class Shop:
    """One project, whose only service that faces users is ``web``."""

    daemon: Daemon
    engine: DockerEngine
    images: Images
    repository: Repository  #: hosted: the pusher's clone; external: the server's own
    name: str
    remote: str = ""  #: where `push` pushes to

    # ── The source ────────────────────────────────────────────────────────────────────────────

    def compose(self, web: str = "", **others: str) -> str:
        """Return a compose file. Each service is lines: the image, then the rest of it."""
        lines = ["services:"]
        for name, text in {"web": web or self.images.plain(), **others}.items():
            image, _, rest = text.partition("\n")
            lines += [f"  {name}:", f"    image: {image}"]
            lines += [] if "stop_" in rest else ["    stop_signal: KILL"]
            lines += [f"    labels: {{{RUN_LABEL}: {self.engine.run_id}}}"]
            lines += [f"    {line}" for line in rest.splitlines()]
        return "\n".join(lines) + "\n"

    def version(self, name: str, web: str = "", **others: str) -> str:
        """Return a compose file that differs from every other version's."""
        image, _, rest = (web or self.images.plain()).partition("\n")
        return self.compose(f"{image}\nenvironment: {{VERSION: {name!r}}}\n{rest}", **others)

    def commit(self, compose: str, **files: str | bytes | None) -> str:
        """Commit a compose file; nobody is told."""
        changes: dict[str, str | bytes | None] = {"compose.yaml": compose, **files}
        return self.repository.commit(changes)

    def push(self, compose: str | None = None, *refs: str, force: bool = False) -> Pushed:
        """Commit ``compose``, push ``refs`` (default: main) and return what the pusher reads."""
        commit = self.commit(compose) if compose is not None else self.repository.tip()
        options = ["--force"] if force else []
        done = subprocess.run(
            [*self._git, "push", *options, self.remote, *(refs or ("main",))],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
            check=False,
        )
        lines = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines()]
        return Pushed(commit, "\n".join(lines), done.returncode == 0)

    @property
    def _git(self) -> list[str]:
        return ["git", "--git-dir", str(self.repository.path)]

    def deploy_first(self, compose: str | None = None) -> Json:
        """Push a first version and see it deployed."""
        self.push(compose or self.version("first"))
        return self.deployed(1)

    # ── What the daemon says ──────────────────────────────────────────────────────────────────

    def settled(self, count: int = 1, *, within: float = 60) -> Json:
        """Wait until ``count`` deployments have ended and return the newest."""
        return self.daemon.settled(self.name, count=count, within=within)

    def deployed(self, count: int = 1, *, commit: str = "", within: float = 60) -> Json:
        """As `settled`; the newest must be deployed, and of ``commit`` if that is given."""
        return self.daemon.deployed(self.name, count=count, commit=commit, within=within)

    def shown(self) -> Json:
        """Return the project as the API shows it."""
        return self.daemon.project(self.name)

    def all(self) -> list[Json]:
        """Return its deployments, oldest first."""
        return self.daemon.deployments(self.name)

    def enable(self) -> Json:
        """Turn auto-deploy on."""
        return self.daemon.patch(f"projects/{self.name}", {"auto_deploy": True})

    def look(self) -> None:
        """Have the daemon look at source and images now."""
        self.daemon.look(self.name)

    # ── What runs ─────────────────────────────────────────────────────────────────────────────

    def containers(self, service: str = "web") -> list[Json]:
        """Return what the engine says of the service's containers, stopped ones too."""
        label = "com.docker.compose.service"
        return [
            one
            for one in self.engine.containers(self.name)
            if one["Config"]["Labels"][label] == service
        ]

    def running(self, service: str = "web") -> Json:
        """Return the service's one container, which must be running."""
        (container,) = self.containers(service)
        assert container["State"]["Running"], container["State"]
        return container

    def running_version(self) -> str:
        """Return what `version` called that which runs."""
        entries = self.running()["Config"]["Env"]
        return next((one[8:] for one in entries if one.startswith("VERSION=")), "")

    def tree(self) -> Path:
        """Where compose runs."""
        return self.daemon.data / "projects" / self.name / "tree"


def declare(daemon: Daemon, engine: DockerEngine, **declared: object) -> str:
    """Declare a compose project with a unique name; return that."""
    name = engine.unique("shop")
    body: dict[str, object] = {
        "name": name,
        "kind": "compose",
        "expose_service": "web",
        "expose_port": 80,
        "auto_deploy": True,
        **declared,
    }
    if body["kind"] == "compose" and "url" not in body and "repository" not in body:
        body |= {"repository": name, "create_repository": True}
    daemon.post("projects", {key: value for key, value in body.items() if value is not None})
    return name


@contextmanager
def hosted_shop(daemon: Daemon, images: Images, folder: Path, **declared: object) -> Iterator[Shop]:
    """Give a project of a repository that the daemon hosts, and a clone with a token to push."""
    engine = images.engine
    name = declare(daemon, engine, **declared)
    kept = declared.get("repository", name)
    made = daemon.post(f"repositories/{kept}/tokens", {"name": f"push-{name}"})
    address = daemon.url.removeprefix("http://")
    remote = f"http://git:{made['token']}@{address}/git/{kept}.git"
    clone = Repository(folder / f"{name}.git")
    with removing(daemon, engine, name):
        yield Shop(daemon, engine, images, clone, name, remote)


@contextmanager
def external_shop(
    daemon: Daemon,
    images: Images,
    repository: Repository,
    url: str,
    *,
    secret: Mapping[str, Mapping[str, str]] | None = None,
    **declared: object,
) -> Iterator[Shop]:
    """Give a project of a repository elsewhere; ``secret``: name → what is put there."""
    engine = images.engine
    enabled = declared.pop("auto_deploy", True)
    name = declare(daemon, engine, url=url, **{**declared, "auto_deploy": False})
    for kind, body in (secret or {}).items():
        daemon.put(f"projects/{name}/secrets/{kind}", body)
    with removing(daemon, engine, name):
        shop = Shop(daemon, engine, images, repository, name, str(repository.path))
        if enabled:
            shop.enable()
        yield shop


@contextmanager
def removing(daemon: Daemon, engine: DockerEngine, name: str) -> Iterator[None]:
    """Remove the project from a daemon that still runs, and its containers in any case."""
    try:
        yield
    finally:
        if daemon.is_ready() and name in {one["name"] for one in daemon.get("projects")["items"]}:
            daemon.patch(f"projects/{name}", {"auto_deploy": False})
            eventually(
                lambda: all(one["status"] in FINAL for one in daemon.deployments(name)),
                within=60,
                what=f"nothing of {name} is under way",
            )
            daemon.delete(f"projects/{name}")
        engine.remove_project(name)
