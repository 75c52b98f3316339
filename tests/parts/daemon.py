"""The whole daemon as users have it: `reconciler serve` in a process of its own, and ways in."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.parts import prepared, tables
from tests.parts.child import Child, free_port
from tests.parts.scratch import short_folder
from tests.parts.waiting import eventually
from tests.parts.web_client import make_admin_token

PROGRAM = Path(sys.executable).with_name("reconciler")
#: Of these nothing reaches the daemon unless a test says so.
_OURS = ("RECONCILER_", "REGISTRY_", "DOCKER_", "XDG_", "GIT_", "CREDENTIALS_DIRECTORY")
#: Short, because the tests' services are up at once; what longer ones find is the faults' business.
SHORT_WINDOWS = {
    "stability_healthy_seconds": 1,
    "stability_unchecked_seconds": 1,
    "shutdown_grace_seconds": 2,
}
#: Statuses that a deployment does not leave.
FINAL = {"deployed", "rolled-back", "failed", "needs-operator", "superseded", "withdrawn"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Its output as an object."""
        found: Json = json.loads(self.out)
        return found


@dataclass(frozen=True)
class _Process:
    line: str  #: its command line
    parent: int


class Daemon:
    """A daemon with a data folder of its own, gone with all it left at work when the block ends.

    ``config`` is what `config.toml` holds, beside the short windows and a free port; ``env`` is
    added to a nearly empty environment.
    """

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        prepare: bool = True,
    ) -> None:
        """Say how it is configured; nothing starts before the block is entered.

        It is forked where its modules are imported already, and finds its tables made, unless how
        it starts is the matter.
        """
        self.prepared = prepare
        self.config: dict[str, object] = {**SHORT_WINDOWS, **(config or {})}
        self.env = dict(env or {})
        self._stack = ExitStack()
        self._child: Child | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # A unix socket's path has 107 bytes, so not below pytest's own folders.
            self.folder = Path(mkdtemp(prefix="rcl-", dir=short_folder()))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.data = self.folder / "data"
            self.socket = self.data / "run" / "reconciler.sock"
            self.port = free_port()
            self.config = {
                "data_folder": str(self.data),
                "listen": f"127.0.0.1:{self.port}",
                **self.config,
            }
            self.write_config()
            if self.prepared and "database_url" not in self.config:
                tables.lay_out(self.data)
            transport = httpx2.HTTPTransport(uds=str(self.socket), verify=False)
            self.api = stack.enter_context(
                httpx2.Client(base_url="http://localhost/api/v1", transport=transport, timeout=30)
            )
            stack.callback(self.end_left_over)
            stack.callback(self.stop)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stderr.write(f"--- the daemon's log ---\n{self.log[-6000:]}\n")
        self._stack.close()

    # ── Its life ──────────────────────────────────────────────────────────────────────────────

    def write_config(self, **changes: object) -> Path:
        """Write the configuration with ``changes``; return its file."""
        self.config.update(changes)
        path = self.folder / "config.toml"
        path.write_text(as_toml(self.config))
        return path

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ChildFailed: it ended, or was not ready in time.
        """
        self._child = Child(
            [PROGRAM, "serve", "--config", self.folder / "config.toml"],
            log=self.folder / "daemon.log",
            ready=self.is_ready,
            env=self.environment,
            prepared=prepared.CLI if self.prepared else "",
        )
        self._child.__enter__()

    def stop(self, *, within: float = 45) -> None:
        """End it as a service manager does, with SIGTERM. Safe to repeat."""
        child, self._child = self._child, None
        if child is not None:
            child.end(within=within)

    def kill(self) -> None:
        """End it with SIGKILL, and leave its children at work, as the kernel does."""
        assert self._child
        with suppress(ProcessLookupError):
            os.kill(self._child.pid, signal.SIGKILL)
        self._child.end()
        self._child = None

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it alone a signal, e.g. SIGSTOP."""
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child
        return self._child.pid

    @property
    def log(self) -> str:
        """All that it wrote so far, in every life."""
        path = self.folder / "daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """What it and its command line get: nothing of ours, and an empty home."""
        apart = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            **{key: "" for key in os.environ if key.startswith(_OURS)},
            **apart,
            "HOME": str(home),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            **self.env,
        }

    def compose_at_work(self) -> list[str]:
        """Return the command line of each `docker compose` that it has at work now.

        Between fork and exec a child shows its parent's command line: that is no second one.
        """
        found = {
            pid: child for pid, child in self._children() if child.line.startswith("docker compose")
        }
        return [child.line for child in found.values() if child.parent not in found]

    def _children(self) -> Iterator[tuple[int, "_Process"]]:
        """Yield each process that it, in any life, has at work."""
        life = self.data / "life"
        mark = f"RECONCILER_LIFE={life.read_text()}".encode() if life.exists() else b"\0"
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    status = (process / "stat").read_text().rpartition(")")[2].split()
                    yield int(process.name), _Process(line.strip(), parent=int(status[1]))

    def end_left_over(self) -> None:
        """End the children that a killed life left at work."""
        for pid, _ in self._children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # ── Ways in ───────────────────────────────────────────────────────────────────────────────

    def is_ready(self) -> bool:
        """Tell whether it says that it is ready."""
        try:
            return self.probe("ready")[0] == 200
        except httpx2.HTTPError:
            return False

    def probe(self, what: str) -> tuple[int, Json]:
        """Ask `/api/healthz`, `/api/ready` or `/api/version` over TCP, as anybody may."""
        answer = httpx2.get(f"{self.url}/api/{what}", timeout=5, trust_env=False)
        return answer.status_code, answer.json()

    @property
    def url(self) -> str:
        """The TCP listener."""
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def admin_token(self) -> str:
        """A token that may do everything, made by the operator of this machine."""
        return make_admin_token(self.socket)

    def cli(self, *arguments: str, stdin: str = "") -> Said:
        """Run `reconciler …` as the operator on this machine."""
        env = {**self.environment, "RECONCILER_CONFIG": str(self.folder / "config.toml")}
        if self.prepared:
            done = prepared.run([str(PROGRAM), *arguments], env=env, stdin=stdin)
        else:
            done = subprocess.run(
                [PROGRAM, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=60,
                env=env,
                check=False,
            )
        return Said(done.returncode, done.stdout, done.stderr)

    def get(self, path: str, **query: object) -> Json:
        """Return what the API has at ``path``, below ``/api/v1/``."""
        return _checked(self.api.get(path, params=query))  # type: ignore[arg-type]

    def post(self, path: str, body: object = None) -> Json:
        """Send ``body``."""
        return _checked(self.api.post(path, json=body))

    def patch(self, path: str, body: object) -> Json:
        """Change what is at ``path``."""
        return _checked(self.api.patch(path, json=body))

    def put(self, path: str, body: object) -> Json:
        """Put ``body`` at ``path``."""
        return _checked(self.api.put(path, json=body))

    def delete(self, path: str) -> Json:
        """Delete what is at ``path``."""
        return _checked(self.api.delete(path))

    # ── What tests ask again and again ────────────────────────────────────────────────────────

    def project(self, name: str) -> Json:
        """Return a project."""
        return self.get(f"projects/{name}")

    def deployments(self, name: str) -> list[Json]:
        """Return a project's deployments, oldest first."""
        items: list[Json] = self.get(f"projects/{name}/deployments", limit=500)["items"]
        return items[::-1]

    def deployment(self, number: int) -> Json:
        """Return one deployment."""
        return self.get(f"deployments/{number}")

    def log_of(self, number: int) -> str:
        """Return a deployment's log."""
        answer = self.api.get(f"deployments/{number}/log", headers={"Accept": "text/plain"})
        return answer.text

    def triggers(self, name: str) -> list[Json]:
        """Return what was asked for a project and what came of it, newest first."""
        items: list[Json] = self.get(f"projects/{name}/triggers")["items"]
        return items

    def why(self, name: str) -> Json:
        """Return why a project stands where it does."""
        return self.get(f"projects/{name}/why")

    def settled(self, name: str, *, count: int = 1, within: float = 60) -> Json:
        """Wait until ``count`` deployments were made and all have ended; return the newest."""

        def ended() -> list[Json]:
            found = self.deployments(name)
            done = len(found) >= count and all(one["status"] in FINAL for one in found)
            return found if done else []

        what = f"{count} deployments of {name} have ended"
        try:
            return eventually(ended, within=within, what=what)[-1]
        except AssertionError as late:
            shown = [(one["id"], one["status"], one["stage"]) for one in self.deployments(name)]
            raise AssertionError(f"{late}\n{shown}\n{self.why(name)['verdict']}") from None

    def deployed(self, name: str, *, count: int = 1, commit: str = "", within: float = 60) -> Json:
        """As `settled`; the newest must be deployed, and of ``commit`` if that is given."""
        newest = self.settled(name, count=count, within=within)
        shown = f"{newest['error']}\n{self.log_of(newest['id'])}"
        assert newest["status"] == "deployed", shown
        assert not commit or newest["revision"]["commit"] == commit
        return newest

    def closed(self, deployment: int, *, within: float = 90) -> Json:
        """Return a deployment once it has ended, whichever daemon says so."""

        def ended() -> Json | None:
            try:
                found = self.get(f"deployments/{deployment}")
            except (httpx2.HTTPError, AssertionError):
                return None  # on its way from one version to the other
            return found if found["status"] in FINAL else None

        found = eventually(ended, within=within, what=f"deployment {deployment} has ended")
        assert found
        return found

    def in_stage(self, name: str, stage: str, *, within: float = 60) -> Json:
        """Wait until the project's newest deployment is running in ``stage``; return it."""

        def reached() -> Json | None:
            newest = self.deployments(name)[-1:]
            at_it = [one for one in newest if one["status"] == "running" and one["stage"] == stage]
            return at_it[0] if at_it else None

        found = eventually(reached, within=within, what=f"{name} is in stage {stage}")
        assert found
        return found

    def look(self, name: str) -> None:
        """Have it look at a project's source and images, and wait until it has acted on them.

        A hosted source is looked at twice: looks take turns, so the second one's end is also the
        end of what the first one led to.
        """
        source = self.project(name)["source"]
        for _ in range(2 if source and source["kind"] == "hosted" else 1):
            before = self._looks(name)
            self.post(f"projects/{name}/look")
            eventually(lambda: self._moved_on(name, before), what=f"{name} was looked at")  # noqa: B023

    def _looks(self, name: str) -> dict[str, str | None]:
        """Return when the source and each watched image was looked at last."""
        project = self.project(name)
        images = self.get(f"projects/{name}/images")["items"]
        source = {"": project["looked_at"]} if project["source"] else {}
        return source | {one["image"]: one["looked_at"] for one in images if one["watched"]}

    def _moved_on(self, name: str, before: dict[str, str | None]) -> bool:
        after = self._looks(name)
        return all(at is not None and at != before.get(what) for what, at in after.items())


def _checked(answer: httpx2.Response) -> Json:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
    found: Json = answer.json() if answer.content else {}
    return found


def as_toml(config: Mapping[str, object]) -> str:
    """Write nested mappings as TOML: strings, numbers, booleans and lists look as in JSON."""
    plain = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for name, table in config.items():
        if isinstance(table, Mapping):
            lines += [
                f"[{name}]",
                *(f"{key} = {json.dumps(value)}" for key, value in table.items()),
            ]
    return "\n".join(lines) + "\n"
