"""What OpenSSH's client takes and says, for all who start it."""

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from reconciler.domain.secret import Secret

#: A Unix socket's address is at most 107 bytes, and ssh adds 17 while it binds.
LONGEST_SOCKET_PATH = 88

#: No second channel, no questions, and no key of a host that nobody pinned.
STRICT_OPTIONS = {
    "BatchMode": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "HashKnownHosts": "no",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "VerifyHostKeyDNS": "no",
    "ForwardAgent": "no",
    "PermitLocalCommand": "no",
    # Of the TCP connection, and of the greeting and key exchange that follow.
    "ConnectTimeout": "10",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}

_MASTER_SECONDS = 2.0
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class Trouble(Enum):
    """Why ssh could not open a connection."""

    OTHER_KEY = auto()  #: the host showed another key than the known ones
    DENIED = auto()
    UNREACHABLE = auto()


_SIGNS = {
    Trouble.OTHER_KEY: re.compile(
        r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED|no matching host key type"
    ),
    Trouble.DENIED: re.compile(
        r"Permission denied|Too many authentication failures|invalid format|error in libcrypto|"
        r"Load key",
        re.IGNORECASE,
    ),
    Trouble.UNREACHABLE: re.compile(
        r"Could not resolve|Connection (refused|timed out|reset|closed)|No route to host|"
        r"unreachable|kex_exchange_identification|banner exchange|Broken pipe|timed out",
        re.IGNORECASE,
    ),
}


def find_trouble(said: str) -> Trouble | None:
    """Return what ssh's last words on stderr mean; None if they are not about the connection."""
    return next((trouble for trouble, sign in _SIGNS.items() if sign.search(said)), None)


def shown_fingerprint(said: str) -> str:
    """Return the fingerprint that ssh names as the one it was shown; empty if it names none."""
    found = _FINGERPRINT.search(said)
    return found[0] if found else ""


def algorithms(pinned: Sequence[str]) -> str:
    """Return the algorithms that prove possession of these very keys."""
    kinds = dict.fromkeys(key.split(maxsplit=1)[0] for key in pinned)
    # Source: RFC 8332: an ssh-rsa key signs with SHA-2 today.
    return ",".join("rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind for kind in kinds)


def quoted(path: Path) -> str:
    """Return ``path`` as ssh's configuration takes it: ``%`` and spaces mean something there."""
    return '"{}"'.format(str(path).replace("%", "%%"))


def write_private_key(path: Path, key: Secret) -> None:
    """Write ``key`` into a new file that only we can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        # ssh insists on the last line's end, and people paste without it.
        file.write(key.reveal().rstrip() + "\n")


def end_kept_connection(socket: Path, *, at_once: bool) -> None:
    """Tell the ssh behind ``socket`` to go: at once, or when its last conversation has ended."""
    how = "exit" if at_once else "stop"
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["ssh", "-F", "/dev/null", "-S", str(socket), "-O", how, "--", "kept"],
            # Not ours: settings in it may be secrets.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_MASTER_SECONDS,
            check=False,
        )
    socket.unlink(missing_ok=True)
