"""The daemon as a service of a systemd host, set up by the very commands that the docs give."""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Self

import httpx2

from tests.parts.daemon import Daemon, Said
from tests.parts.docker_engine import SOCKET, DockerEngine
from tests.parts.systemd_host import SystemdHost

ROOT = Path(__file__).parents[2]
UNIT = "reconciler"
#: The unit waits 5 s before it starts anew; that there is a new start is what can be tested.
_SOON = "RestartSec=100ms"
_BLOCK = re.compile(r"## As a service\n.*?```sh\n(.*?)```", re.DOTALL)
_PYTHON = "/opt/python/bin/python3"
_LIBRARIES = "opt/python/libraries"
_DEPENDENCIES = "/opt/dependencies"
_PLUGINS = "docker/cli-plugins/docker-compose"


class InstalledService(Daemon):
    """The daemon of this checkout, running under systemd on ``host``.

    What `Daemon` offers over HTTP it offers too; files and processes of it are the host's.
    """

    def __init__(self, host: SystemdHost, config: Mapping[str, object] | None = None) -> None:
        """Say where it is installed; nothing happens before the block is entered."""
        super().__init__(config)
        self.host = host
        self.port = 8484
        #: What the commands of the docs printed.
        self.said = ""

    def __enter__(self) -> Self:
        """Install it as the docs say; the configuration of the tests is in a drop-in beside."""
        with ExitStack() as stack:
            self.api = stack.enter_context(httpx2.Client(timeout=30, trust_env=False))
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="wheel-")))
            wheel = _build_wheel(folder)
            self._prepare({f"opt/{wheel.name}": wheel})
            self.configure()
            self.said = self._run_documented(wheel.name)
            self.api.base_url = f"{self.url}/api/v1"
            self.api.headers["Authorization"] = f"Bearer {self.admin_token}"
            self._stack = stack.pop_all()
        return self

    def _prepare(self, files: Mapping[str, Path]) -> None:
        """Give the host what a user's machine has: Python, Docker's group, a checkout."""
        self.host.run("tar", "-x", "-C", "/", stdin=_tar({**_libraries(), **files}))
        # Looked through last: what the host has itself goes before.
        self.host.write("/etc/ld.so.conf.d/zz-python.conf", f"/{_LIBRARIES}\n")
        self.host.run("ldconfig")
        group = str(SOCKET.stat().st_gid)
        self.host.run("groupadd", "--non-unique", "--gid", group, "docker")
        self.host.write("/opt/checkout/packaging/reconciler.service", read_unit())

    def _run_documented(self, wheel: str) -> str:
        """Run the block of the docs; only what takes a network is exchanged."""
        found = _BLOCK.search((ROOT / "docs" / "operating.md").read_text())
        assert found
        block = found[1]
        pip = "/opt/reconciler/bin/pip install"
        listed = f"/opt/reconciler/lib/{_library_name()}/site-packages/dependencies.pth"
        offline = f"/opt/reconciler/bin/python -m pip install --no-index --no-deps /opt/{wheel}"
        exchanges = {
            "python3 -m venv": f"{_PYTHON} -m venv --without-pip",
            f"{pip} --require-hashes --requirement packaging/requirements.txt": (
                f"sh -c 'echo {_DEPENDENCIES} >{listed}'"
            ),
            f"{pip} --no-deps .": offline,
        }
        for before, after in exchanges.items():
            assert before in block, before
            block = block.replace(before, after)
        return self.host.run("sh", "-euc", f"cd /opt/checkout\n{block}")

    # ── Its life ──────────────────────────────────────────────────────────────────────────────

    def configure(self, *lines: str, **settings: object) -> None:
        """Change ``settings``, and the unit by ``lines`` in ``[Service]``; it takes a restart.

        It is what `systemctl edit` does; the lines of an earlier call are gone.
        """
        self.config.update(settings)
        given = {
            "listen": f"{self.host.address}:{self.port}",
            "trusted_proxies": self.host.gateway,  # as which the test asks
            **self.config,
        }
        variables = [f"Environment=RECONCILER_{key.upper()}={given[key]}" for key in given]
        text = "\n".join(("[Service]", _SOON, *variables, *lines, ""))
        self.host.write(f"/etc/systemd/system/{UNIT}.service.d/test.conf", text)
        self.host.run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Start it; systemd says when it is ready.

        Raises:
            DockerFailed: it did not become so.
        """
        self.host.run("systemctl", "start", UNIT)

    def stop(self, *, within: float = 100) -> None:
        """Stop it in order, and wait for the end."""
        self.host.run("systemctl", "stop", UNIT)

    def kill(self) -> None:
        """End it with SIGKILL; what becomes of its children is systemd's business."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it alone a signal."""
        self.host.run("kill", f"-{number}", str(self.pid))

    def show(self, name: str) -> str:
        """Return one property of the unit, e.g. ``ActiveState``."""
        return self.host.run("systemctl", "show", "--value", f"--property={name}", UNIT)

    @property
    def pid(self) -> int:
        """Its process id on the host; 0 while it does not run."""
        return int(self.show("MainPID"))

    @property
    def log(self) -> str:
        """Its journal."""
        return self.host.journal(UNIT)

    # ── Ways in ───────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The TCP listener, at the host's own address."""
        return f"http://{self.host.address}:{self.port}"

    @cached_property
    def admin_token(self) -> str:
        """A token that may do everything, made by root on the host."""
        return self.cli("token", "add", f"admin-{token_hex(4)}", "--scope", "admin").out.strip()

    def cli(self, *arguments: str, stdin: str = "") -> Said:
        """Run `reconciler …` as root on the host.

        Raises:
            DockerFailed: it did not end with 0.
        """
        return Said(0, self.host.run("reconciler", *arguments, stdin=stdin.encode()), "")


def service_options(engine: DockerEngine) -> list[str]:
    """Return the docker options of a host that the daemon is installed on.

    It sees this machine's Python, the tests' packages, the Docker client and its engine, so that
    nothing is downloaded for it. They lie where a user's would: outside of any home folder.
    """
    library = _library_name()
    client = shutil.which("docker")
    assert client
    mounts = {
        Path(sys.executable).resolve(): _PYTHON,
        Path(sysconfig.get_path("stdlib")): f"/opt/python/lib/{library}",
        Path(sysconfig.get_path("purelib")): _DEPENDENCIES,
        Path(client).resolve(): "/usr/bin/docker",
        _compose_plugin(engine): f"/usr/libexec/{_PLUGINS}",
        engine.socket.resolve(): "/run/docker.sock",
    }
    return [part for here, there in mounts.items() for part in ("--volume", f"{here}:{there}:ro")]


def read_unit() -> str:
    """Return the unit file that ships."""
    return (ROOT / "packaging" / "reconciler.service").read_text()


def _library_name() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _compose_plugin(engine: DockerEngine) -> Path:
    """Return the file that `docker compose` runs."""
    plugins = json.loads(engine.docker("info", "--format", "{{json .ClientInfo.Plugins}}"))
    path = next(one["Path"] for one in plugins if one["Name"] == "compose")
    return Path(path).resolve()


def _build_wheel(folder: Path) -> Path:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def _libraries() -> dict[str, Path]:
    """Return the shared libraries that this Python needs, by where they go on the host.

    The host is of this machine's own release, so what it has itself is the same.
    """
    binaries = [Path(sys.executable).resolve()]
    binaries += Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so")
    listed = subprocess.run(
        ["ldd", *(path for path in binaries if "tkinter" not in path.name)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    found = dict(re.findall(r"^\s+(\S+) => (/\S+)", listed, re.MULTILINE))
    return {f"{_LIBRARIES}/{name}": Path(path) for name, path in found.items()}


def _tar(files: Mapping[str, Path]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in files.items():
            tar.add(path.resolve(), name)
    return archive.getvalue()
