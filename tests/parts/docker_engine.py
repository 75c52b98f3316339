"""A real Docker engine: the one that answers already, or one of ours that all test runs share.

`python -m tests.parts.docker_engine` keeps one up until it is interrupted.
"""

import fcntl
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.parts.waiting import eventually

SOCKET = Path("/var/run/docker.sock")
BUSYBOX = Path("/bin/busybox")
RUN_LABEL = "reconciler.test-run"
#: Outside the checkout, and kept: the engine's layers, and what takes long to make.
CACHE = Path(os.environ.get("RECONCILER_TEST_CACHE", "/var/tmp/reconciler-tests"))


class DockerFailed(Exception):
    """A docker command ended with another status than 0; the message holds what it said."""


class DockerEngine:
    """An engine with the images, containers, networks and volumes of one test run.

    What carries the run's label, or belongs to a Compose project named by `unique`, is removed when
    the block ends; nothing else is.
    """

    socket = SOCKET

    def __init__(self) -> None:
        """Name the run."""
        self.run_id = f"t{secrets.token_hex(4)}"
        self._busybox = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(_SharedEngine())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self._remove_own()

    @property
    def environment(self) -> dict[str, str]:
        """What a docker client needs to reach this engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def docker(
        self, *arguments: str | Path, stdin: bytes | None = None, within: float = 120
    ) -> str:
        """Run the docker client and return what it printed, without the last line break.

        Raises:
            DockerFailed: it did not end with 0.
        """
        done = subprocess.run(
            ["docker", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=within,
            env={**os.environ, **self.environment},
            check=False,
        )
        if done.returncode:
            what = " ".join(map(str, arguments))
            raise DockerFailed(f"docker {what}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace").strip()

    def unique(self, hint: str) -> str:
        """Return a name for a container or Compose project that is only this run's."""
        return f"{self.run_id}-{hint}-{secrets.token_hex(3)}"

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what the engine says of a container, image or network."""
        found: dict[str, Any] = json.loads(self.docker("inspect", name))[0]
        return found

    def run(self, image: str, *command: str, options: Sequence[str] = ()) -> str:
        """Start a container in the background, labelled with this run; return its id."""
        return self.docker(
            "run", "--detach", "--label", f"{RUN_LABEL}={self.run_id}", *options, image, *command
        )

    def containers(self, project: str) -> list[dict[str, Any]]:
        """Return what the engine says of each container of a Compose project, stopped ones too."""
        found = self._ids("ps", "--all", "--filter", f"label=com.docker.compose.project={project}")
        return [self.inspect(container) for container in found]

    def busybox_image(self) -> str:
        """Return the reference of a 2 MB image with a shell and httpd, made once a run."""
        if not self._busybox:
            self._busybox = f"{self.run_id}/busybox:latest"
            self.build_image(self._busybox)
        return self._busybox

    def build_image(
        self,
        tag: str,
        *,
        cmd: Sequence[str] = ("sleep", "infinity"),
        labels: Mapping[str, str] | None = None,
        files: Mapping[str, str | bytes] | None = None,
        healthcheck: str = "",
    ) -> str:
        """Make an image of busybox and ``files``, and return its id.

        Other ``files`` make another image with another digest. ``healthcheck`` is a Dockerfile's
        HEALTHCHECK, e.g. ``--interval=1s CMD wget -q -O- localhost``.
        """
        changes = [f"CMD {json.dumps(list(cmd))}", "ENV PATH=/bin"]
        for key, value in {**(labels or {}), RUN_LABEL: self.run_id}.items():
            # Dockerfiles replace variables inside double quotes, too.
            changes.append(f"LABEL {json.dumps(key)}={json.dumps(value)}".replace("$", r"\$"))
        if healthcheck:
            changes.append(f"HEALTHCHECK {healthcheck}")
        options = [option for change in changes for option in ("--change", change)]
        # An import takes the same way in every engine, with BuildKit and without; it is also fast.
        return self.docker("import", *options, "-", tag, stdin=_root_filesystem(files or {}))

    def push(self, image: str, registry: str, *, repository: str = "") -> str:
        """Push ``image`` to ``registry`` (host:port) and return the digest it has there.

        It lands as ``registry/repository``; by default under its own name and tag.
        """
        target = f"{registry}/{repository or image}"
        self.docker("tag", image, target)
        printed = self.docker("push", target)
        return next(word for word in printed.split() if word.startswith("sha256:"))

    def remove_project(self, project: str) -> None:
        """Remove the containers, networks and volumes of a Compose project."""
        self._remove(f"label=com.docker.compose.project={project}")

    def _remove_own(self) -> None:
        listed = self.docker(
            "ps", "--all", "--format", '{{.Label "com.docker.compose.project"}}'
        ).split()
        for project in {name for name in listed if name.startswith(self.run_id)}:
            self.remove_project(project)
        self._remove(f"label={RUN_LABEL}={self.run_id}")
        if images := self._ids("images", "--filter", f"label={RUN_LABEL}={self.run_id}"):
            self.docker("rmi", "--force", *images)

    def _remove(self, chosen: str) -> None:
        if containers := self._ids("ps", "--all", "--filter", chosen):
            self.docker("rm", "--force", "--volumes", *containers)
        for kind in ("network", "volume"):
            if found := self._ids(kind, "ls", "--filter", chosen):
                self.docker(kind, "rm", *found)

    def _ids(self, *listing: str) -> list[str]:
        return sorted(set(self.docker(*listing, "--quiet").split()))


class _SharedEngine:
    """Our dockerd: started by the first who needs it, ended by the last who leaves.

    Users hold a shared lock on a file; the kernel lets go of it when a user dies, so an engine left
    behind by a killed run is taken over by the next, and ended by that one.
    """

    def __init__(self) -> None:
        self._directory = CACHE / "engine"
        self._pid_path = self._directory / "dockerd.pid"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "change.lock").open("w") as change:
            fcntl.flock(change, fcntl.LOCK_EX)
            if not engine_answers():
                self._start()
            self._users = self._stack.enter_context((self._directory / "users.lock").open("w"))
            fcntl.flock(self._users, fcntl.LOCK_SH)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack, (self._directory / "change.lock").open("w") as change:
            fcntl.flock(change, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._end()

    def _start(self) -> None:
        program = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise DockerFailed("there is no dockerd on this machine")
        log = self._directory / "dockerd.log"
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        # Not a `Popen`, which complains when it is forgotten: this one outlives whoever started
        # it, as long as others still use it.
        os.posix_spawn(
            program,
            [
                program,
                f"--data-root={self._directory / 'data'}",
                f"--exec-root={self._directory / 'exec'}",
                f"--pidfile={self._pid_path}",
                f"--host=unix://{SOCKET}",
                "--log-level=warn",
            ],
            os.environ,
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
        )
        os.close(output)
        eventually(engine_answers, within=60, what=f"dockerd answers (see {log})")

    def _end(self) -> None:
        """End the engine if it is ours; one that was there before us stays."""
        try:
            pid = int(self._pid_path.read_text())
            started_as = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ValueError):
            return
        if str(self._pid_path).encode() not in started_as:
            return
        os.kill(pid, signal.SIGTERM)
        # It removes its pid file as the last thing it does.
        eventually(lambda: not self._pid_path.exists(), within=30, what="dockerd ends")


def engine_answers() -> bool:
    """Tell whether an engine answers on the default socket."""
    return SOCKET.exists() and docker_answers("--host", f"unix://{SOCKET}", "version")


def docker_answers(*arguments: str) -> bool:
    """Tell whether there is a docker client, and this ends well."""
    try:
        asked = subprocess.run(["docker", *arguments], capture_output=True, timeout=20, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


def _root_filesystem(files: Mapping[str, str | bytes]) -> bytes:
    """Return a tar with a static busybox, a link for each of its commands, and ``files``."""
    commands = subprocess.run(
        [BUSYBOX, "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for directory, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        _add_file(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for command in commands:
            if command != "busybox":
                link = tarfile.TarInfo(f"bin/{command}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        _add_file(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
        for path, content in sorted(files.items()):
            data = content.encode() if isinstance(content, str) else content
            _add_file(tar, path.lstrip("/"), data, 0o755 if data.startswith(b"#!") else 0o644)
    return archive.getvalue()


def _add_file(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _keep_one_up() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with DockerEngine() as engine, suppress(KeyboardInterrupt):
        sys.stdout.write(f"an engine answers on {engine.environment['DOCKER_HOST']}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    _keep_one_up()
