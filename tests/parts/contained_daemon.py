"""The daemon in a container, of images that take all but its own program from this machine."""

import io
import json
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

import httpx2
from ruamel.yaml import YAML

from tests.parts.child import free_port
from tests.parts.daemon import Daemon
from tests.parts.docker_engine import RUN_LABEL, DockerEngine
from tests.parts.registry import Registry
from tests.parts.scratch import short_folder
from tests.parts.waiting import eventually

ROOT = Path(__file__).parents[2]
_PROGRAM = "/opt/reconciler"
#: Debian's folders are links into `/usr`, which is this machine's own.
_LINKS = ("bin", "sbin", "lib", "lib64")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\n"


class ContainedDaemon(Daemon):
    """A daemon that runs as the only service of a compose project, and deploys to this engine."""

    def __init__(
        self, engine: DockerEngine, registry: Registry, config: Mapping[str, object] | None = None
    ) -> None:
        """Say how it is configured; nothing starts before the block is entered."""
        super().__init__(config)
        self.engine = engine
        self.registry = registry
        self.name = engine.unique("daemon")

    def __enter__(self) -> Self:
        """Bring it up as an operator does, by hand."""
        with ExitStack() as stack:
            self.folder = Path(mkdtemp(prefix="rcl-", dir=short_folder()))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.data = self.folder / "data"
            self.data.mkdir(mode=0o700)
            self.socket = self.data / "run" / "reconciler.sock"
            self.port = free_port()
            self.api = stack.enter_context(
                httpx2.Client(base_url=f"{self.url}/api/v1", timeout=30, trust_env=False)
            )
            stack.callback(_remove, self.engine, self.name)
            self.make_image("by hand")
            path = self.folder / "compose.yaml"
            path.write_text(self.compose_file())
            self.engine.docker("compose", "-p", self.name, "-f", path, "up", "--detach")
            eventually(self.is_ready, within=60, what="the daemon is ready")
            self.api.headers["Authorization"] = f"Bearer {self.admin_token}"
            self._stack = stack.pop_all()
        return self

    @property
    def log(self) -> str:
        """What the container that is there wrote."""
        return self.engine.docker("compose", "-p", self.name, "logs", "--no-log-prefix")

    @property
    def image(self) -> str:
        """The tag that the project follows."""
        return f"{self.registry.host}/{self.name}:1"

    def make_image(self, commit: str, files: Mapping[str, bytes] | None = None) -> str:
        """Push a version of the daemon that says ``commit``; return its digest.

        ``files`` are put in the place of this checkout's, by their path in the package.
        """
        settings = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{_PROGRAM}:{sysconfig.get_path('purelib')}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "RECONCILER_BUILD_COMMIT": commit.replace(" ", "-"),
        }
        changes = [f"ENV {key}={value}" for key, value in settings.items()]
        changes.append(f"ENTRYPOINT {json.dumps([sys.executable, '-m', 'reconciler'])}")
        changes.append('CMD ["serve"]')
        changes.append(f"LABEL {RUN_LABEL}={self.engine.run_id}")
        options = [part for change in changes for part in ("--change", change)]
        self.engine.docker("import", *options, "-", self.image, stdin=_root(files or {}))
        pushed = self.engine.docker("push", self.image)
        return next(word for word in pushed.split() if word.startswith("sha256:"))

    def compose_file(self) -> str:
        """Return what ships, with this machine's parts and this daemon's settings in it."""
        document = YAML(typ="safe").load(ROOT / "packaging" / "compose.yaml")
        (service,) = document["services"].values()
        taken = ["/usr", "/etc/ssl", sys.base_prefix, sys.prefix]
        folder, socket = service["volumes"]
        volumes = [f"{path}:{path}:ro" for path in dict.fromkeys(taken)]
        given = {"listen": f"127.0.0.1:{self.port}", **self.config}
        settings = {f"RECONCILER_{key.upper()}": str(value) for key, value in given.items()}
        service |= {
            "image": self.image,
            "volumes": [*volumes, folder.replace("/var/lib/reconciler", str(self.data)), socket],
            "environment": {"RECONCILER_DATA_FOLDER": str(self.data), **settings},
            "labels": {RUN_LABEL: self.engine.run_id},
            "init": False,  # the engine's own would lie beneath what is mounted here
            "stop_grace_period": "20s",
        }
        return json.dumps(document)


def _remove(engine: DockerEngine, name: str) -> None:
    """Remove what the daemon was, and what replaced it."""
    listed = engine.docker("ps", "--all", "--quiet", "--filter", f"name=self-update-{name}")
    if listed:
        engine.docker("rm", "--force", *listed.split())
    engine.remove_project(name)


def _root(changed: Mapping[str, bytes]) -> bytes:
    """Return a tar with links into `/usr`, and the program."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in _LINKS:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
        for name, mode in (("tmp", 0o1777), ("run", 0o755), ("root", 0o700)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        _add(tar, "etc/passwd", _PASSWD.encode())
        for name, content in {**_program(), **changed}.items():
            _add(tar, f"{_PROGRAM[1:]}/{name}", content)
    return archive.getvalue()


def _program() -> dict[str, bytes]:
    """Return the files of this checkout that the daemon needs."""
    found = (ROOT / "reconciler").rglob("*")
    paths = {path for path in found if path.is_file() and "__pycache__" not in path.parts}
    paths.add(ROOT / "packaging" / "post-receive")
    return {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))
