"""How ssh is told to reach one host: a configuration of ours, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.adapters.hosts.files import HostFiles
from reconciler.adapters.hosts.operator_config import DIRECT, OperatorConfig
from reconciler.adapters.openssh import STRICT_OPTIONS, algorithms, quoted
from reconciler.domain.host import Host
from reconciler.domain.secret import Secret
from reconciler.ports import Command, CommandResult, CommandRunner

OPENING_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Way:
    """Where a host's name leads."""

    address: str
    is_direct: bool  #: no hop, and no command of the operator's, is in between


@dataclass(frozen=True, slots=True)
class Access:
    """To one host, as it was declared."""

    host: Host
    find_key: Callable[[], Secret | None]  #: its stored private key
    files: HostFiles
    operator: OperatorConfig
    runner: CommandRunner

    @property
    def destination(self) -> str:
        """What ssh is given as the host; the configuration has its address."""
        # The alias itself, as the operator's file may name it in a token.
        return self.host.alias or self.host.name

    @property
    def environment(self) -> Mapping[str, str]:
        """What ssh is started with: the operator's agent and home for an alias, else nothing."""
        return self.operator.environment if self.host.alias else {}

    @property
    def known_as(self) -> str:
        """The name under which its keys are pinned, whatever its address and port."""
        return f"reconciler-{self.host.name}"

    def argv(self, remote: str, **options: str) -> tuple[str, ...]:
        """Return the argument list of one ssh; ``remote`` is a command line for the host."""
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return ("ssh", "-F", str(self.files.config), *given, "--", self.destination, remote)

    def opening_argv(self, remote: str, **options: str) -> tuple[str, ...]:
        """Return that of an ssh that opens a connection, and says all that it knows of it."""
        # Only so does it say that there is no key of a kind, or who closed the connection; also
        # the host's banner, which later sessions do not show.
        return self.argv(remote, LogLevel="INFO", **options)

    def master_argv(self, order: str, *arguments: str) -> tuple[str, ...]:
        """Return the argument list that tells the open connection to do something."""
        config = str(self.files.config)
        return ("ssh", "-F", config, "-O", order, *arguments, "--", self.destination)

    def knock(self, **options: str) -> CommandResult:
        """Open a connection that ends before the host is shown more than a user's name."""
        argv = self.opening_argv(
            "true",
            PreferredAuthentications="none",
            PubkeyAuthentication="no",
            ControlPath="none",
            **options,
        )
        return self.runner.run(Command(argv, env=self.environment, timeout=OPENING_TIMEOUT))

    def write(self) -> Way:
        """Write what ssh reads, as declared and configured now.

        Raises:
            PreconditionFailed: the operator's configuration can't be read.
        """
        key = None if self.host.alias else self.find_key()
        login = self._of_alias() if self.host.alias else self._of_declaration(key)
        lines = [*self._fixed().items(), *login]
        config = "".join(f"{name} {value}\n" for name, value in lines)
        known = "".join(f"{self.known_as} {pinned}\n" for pinned in self.host.host_keys)
        self.files.write(config, known, key)
        values = {name.lower(): value for name, value in login}
        return Way(values["hostname"], is_direct=values["proxycommand"] == DIRECT)

    def _fixed(self) -> dict[str, str]:
        """Return what is the same for all; ssh takes the first value that it is given."""
        fixed = {
            **STRICT_OPTIONS,
            "UserKnownHostsFile": quoted(self.files.known_hosts),
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": self.known_as,
            "ControlPath": quoted(self.files.control),
            "StreamLocalBindUnlink": "yes",
            "ForwardX11": "no",
            "RequestTTY": "no",
        }
        if self.host.host_keys:
            fixed["HostKeyAlgorithms"] = algorithms(self.host.host_keys)
        return fixed

    def _of_alias(self) -> list[tuple[str, str]]:
        found = self.operator.resolve(self.host.alias)
        return [(name, _value(name, value)) for name, value in found]

    def _of_declaration(self, key: Secret | None) -> list[tuple[str, str]]:
        return [
            ("HostName", self.host.address),
            ("User", self.host.user),
            ("Port", str(self.host.port)),
            ("IdentityFile", quoted(self.files.key) if key else "none"),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("PreferredAuthentications", "publickey"),
            ("ProxyCommand", DIRECT),
        ]


def _value(name: str, value: str) -> str:
    """Return a value as a configuration takes it; `ssh -G` shows paths without quotes."""
    return value if name == "proxycommand" or " " not in value else f'"{value}"'
