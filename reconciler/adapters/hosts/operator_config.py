"""What the operator's own SSH configuration says of an alias."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconciler.domain.errors import PreconditionFailed
from reconciler.ports import Command, CommandRunner

#: The value of ``proxycommand`` where there is nothing in between.
DIRECT = "none"

#: What is taken over; the rest is ours to say, host keys above all.
_TAKEN_OVER = frozenset(
    {
        *("hostname", "user", "port", "addressfamily", "bindaddress", "bindinterface"),
        *("identityfile", "certificatefile", "identitiesonly", "identityagent"),
        *("ciphers", "kexalgorithms", "macs", "pubkeyacceptedalgorithms"),
    }
)
#: What a ProxyCommand or an agent of the operator's needs to work.
_ENVIRONMENT = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK")
_TIMEOUT = timedelta(seconds=10)
_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<bracketed>[^]]+)]|(?P<host>[^:@]+))"
    r"(?::(?P<port>[0-9]+))?/?"
)
#: A hop is of the operator's configuration, and so are its keys: it is verified against their
#: known_hosts, strictly, as nobody is there to be asked. Its connection ends with ours.
_HOP_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "10",
    "ControlMaster": "no",
    "ControlPath": "none",
    "LogLevel": "ERROR",
}


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """The SSH configuration of the user whom the daemon runs as."""

    runner: CommandRunner
    path: Path | None = None  #: None: ``~/.ssh/config`` and ``/etc/ssh/ssh_config``

    @property
    def environment(self) -> Mapping[str, str]:
        """What every ssh to an alias is started with."""
        return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}

    def resolve(self, alias: str) -> tuple[tuple[str, str], ...]:
        """Return option and value, as often as it is set, of all that is taken over.

        An alias that the configuration does not know is its own ``hostname``.

        Raises:
            PreconditionFailed: ssh can't make sense of the configuration.
        """
        argv = ("ssh", *self._source, "-G", "--", alias)
        result = self.runner.run(Command(argv, env=self.environment, timeout=_TIMEOUT))
        if not result.ok:
            how = result.stderr_tail.strip().splitlines() or ["it took too long"]
            raise PreconditionFailed(f"the SSH configuration can't be read: {how[-1]}")
        said = [line.partition(" ")[::2] for line in result.stdout.splitlines()]
        taken = [(option, value) for option, value in said if option in _TAKEN_OVER]
        return (*taken, ("proxycommand", self._way(dict(said))))

    @property
    def _source(self) -> tuple[str, ...]:
        return ("-F", str(self.path)) if self.path else ()

    def _way(self, said: Mapping[str, str]) -> str:
        """Return the command that leads to the host, or ``DIRECT``.

        A ProxyJump becomes the command that ssh itself would make of it: with our ``-F``, ssh
        would look for what is said of the hops in our file.
        """
        command, jump = said.get("proxycommand", "none"), said.get("proxyjump", "none")
        if jump.lower() != "none":
            first, _, last = jump.rpartition(",")
            earlier = ["-J", first] if first else []
            argv = ["ssh", *self._source, *_options(_HOP_OPTIONS), *earlier, *_hop_arguments(last)]
            command = f"{_quoted(argv)} -W '[%h]:%p' -- {_hop_host(last)}"
        if command.lower() == "none":
            return DIRECT
        # The connection outlives the command that it is opened with, whose process group is ended.
        return f"setsid sh -c {shlex.quote(command)}"


def _options(options: Mapping[str, str]) -> Iterator[str]:
    for name, value in options.items():
        yield from ("-o", f"{name}={value}")


def _hop_arguments(hop: str) -> Iterator[str]:
    found = _HOP.fullmatch(hop)
    if found and found["user"]:
        yield from ("-l", found["user"])
    if found and found["port"]:
        yield from ("-p", found["port"])


def _hop_host(hop: str) -> str:
    found = _HOP.fullmatch(hop)
    return _quoted([found["bracketed"] or found["host"] if found else hop])


def _quoted(argv: list[str]) -> str:
    """Return ``argv`` for the shell through which ssh starts its ProxyCommand."""
    return shlex.join(argv).replace("%", "%%")
