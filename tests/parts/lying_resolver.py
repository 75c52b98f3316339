"""Names that resolve to something else each time, in a network of their own.

``unshare --net --mount python -m tests.parts.lying_resolver`` asks for a git tip over HTTP and over
SSH, and for a digest, by names that lie; it prints what became of each as JSON. A metadata service
is there to be reached: at 169.254.169.254, on each port that is asked for.
"""

import json
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from reconciler.adapters.git.remote import DulwichRemote
from reconciler.adapters.git.ssh import HostKeys
from reconciler.adapters.notify.signed_webhook import SignedWebhooks
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.registry.oras_registry import OrasRegistry
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.channel import Address
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.notice import NoticeEvent
from reconciler.domain.references import BranchName, GitUrl, ImageReference
from reconciler.domain.secret import Secret
from reconciler.ports import GitCredentials, Letter
from tests.parts.faulty_registry import FaultyRegistry

METADATA = "169.254.169.254"
HERE = "127.0.0.1"
#: First word of a name → its addresses, by how often it was asked for; the last go on.
ANSWERS: dict[str, list[list[str]]] = {
    "flip": [[HERE], [METADATA]],
    "both": [[HERE, METADATA]],
    "swap": [[METADATA, HERE]],
    "only": [[METADATA]],
    "wrapped": [[f"::ffff:{METADATA}"]],
    "honest": [[HERE]],
}


class Resolver(threading.Thread):
    """A DNS server of one kind of answer (RFC 1035); each address record lives for no time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HERE, 53))

    def run(self) -> None:
        """Answer for ever."""
        while True:
            question, client = self._socket.recvfrom(512)
            with suppress(OSError, struct.error, UnicodeDecodeError):
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        end = question.index(b"\0", 12) + 1
        name = question[13 : 13 + question[12]].decode()
        (kind,) = struct.unpack("!H", question[end : end + 2])
        told = ANSWERS.get(name.partition("-")[0], [[]])
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        addresses = told[min(self.asked[name], len(told) - 1)]
        if kind == 1:
            self.asked[name] += 1
        fitting = [one for one in addresses if (":" in one) is (family == socket.AF_INET6)]
        packed = [socket.inet_pton(family, one) for one in fitting] if family else []
        header = question[:2] + struct.pack("!5H", 0x8180, 1, len(packed), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one)) + one for one in packed
        )
        return header + question[12 : end + 4] + records


class Metadata:
    """What nobody may reach: it counts who does."""

    def __init__(self) -> None:
        self.reached = 0

    def listen(self, port: int) -> None:
        """Take connections on one more port."""
        listener = socket.create_server((METADATA, port))

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                self.reached += 1
                connection.close()

        threading.Thread(target=accept, daemon=True).start()


def enter_network() -> None:
    """Make this network one with a metadata service and our resolver, and with nothing else."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    settings = Path(mkdtemp()) / "resolv.conf"
    settings.write_text(f"nameserver {HERE}\noptions timeout:1 attempts:1\n")
    target = Path("/etc/resolv.conf").resolve()
    subprocess.run(["mount", "--bind", settings, target], check=True)


def told(ask: Callable[[], object]) -> str:
    """Return the code of the error that asking gives; empty without one."""
    try:
        ask()
    except ReconcilerError as error:
        return error.code
    return ""


def ask_all(port: int) -> dict[str, str]:
    """Ask each kind of server by each name, as a new client; return what came of it."""
    names = [f"{word}-registry.test:{port}" for word in ANSWERS]
    registry = OrasRegistry(SystemClock(), lambda *_: None, insecure_hosts=names)
    keys = HostKeys(lambda _: "", lambda *_: None)
    limit = timedelta(seconds=5)
    remote = DulwichRemote(Path(mkdtemp()), LocalRunner("tests"), keys, limit=limit)

    webhooks = SignedWebhooks(SystemClock(), limit)
    letter = Letter(NoticeEvent.FAILURE, "title", "text", {}, "1", SystemClock().now())

    def tip(url: str) -> object:
        parsed = GitUrl.parse(url)
        credentials = GitCredentials(parsed.origin, ssh_key=Secret.of("no key"))
        return remote.tip(parsed, BranchName("main"), credentials)

    def digest(host: str) -> object:
        return registry.digest(ImageReference.parse(f"{host}:{port}/team/app:1"))

    asks: dict[str, Callable[[str], object]] = {
        "registry": digest,
        "git": lambda host: tip(f"http://{host}:{port}/team/web.git"),
        "webhook": lambda host: webhooks.send(
            Address(Secret.of(f"http://{host}:{port}/hook")), letter
        ),
        "ssh": lambda host: tip(f"ssh://git@{host}/team/web.git"),
    }
    seen = {
        f"{kind} {word}": told(partial(ask, f"{word}-{kind}.test"))
        for kind, ask in asks.items()
        for word in ANSWERS
    }
    remote.close()
    return seen


def main() -> int:
    """Ask twice, and print what was seen."""
    enter_network()
    resolver, metadata = Resolver(), Metadata()
    resolver.start()
    with FaultyRegistry() as server:
        metadata.listen(server.port)
        metadata.listen(22)
        seen = [ask_all(server.port) for _ in range(2)]
        requests = Counter(request.path for request in server.requests)
    found = {
        "seen": seen,
        "reached": metadata.reached,
        "requests": requests,
        "asked": resolver.asked,
    }
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
