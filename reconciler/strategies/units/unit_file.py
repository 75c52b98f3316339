"""The unit that runs a target, and the environment that it is given, as systemd reads them."""

import re
from collections.abc import Mapping

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.errors import InvalidInput
from reconciler.domain.host import HostPath
from reconciler.domain.references import CommitSha
from reconciler.domain.secret import Secret
from reconciler.domain.target import Target
from reconciler.strategies.units.site import Site

#: Ports that a user other than root may listen on only with a capability.
_FIRST_FREE_PORT = 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Source: systemd.exec(5), EnvironmentFile=: within double quotes these are escaped.
_ESCAPED = re.compile(r'(["\\`$])')


def unit_text(site: Site, target: Target) -> str:
    """Return the unit file.

    It may change what lies in its state folder (``/var/lib/<project>``) and nothing else; its
    files can be switched beneath it, for it names only the links to them.
    """
    lines = (
        site.marker,
        "[Unit]",
        f"Description={site.project}, deployed by reconciler",
        "Wants=network-online.target",
        "After=network-online.target",
        # What fails at once, again and again, fails for good, so that somebody sees it.
        "StartLimitIntervalSec=60",
        "StartLimitBurst=5",
        "",
        "[Service]",
        # A program that can't be run is a failure of its start.
        "Type=exec",
        f"WorkingDirectory={site.path('current')}",
        f'ExecStart="{site.folder}/current/{site.binary}"',
        f"EnvironmentFile={site.path('deployed/environment')}",
        f"StateDirectory={site.project}",
        "Restart=on-failure",
        "RestartSec=1",
        "TimeoutStopSec=30",
        *_user(target),
        *_hardening(site.folder),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return "\n".join(lines) + "\n"


def environment_text(
    target: Target,
    variables: Mapping[str, Secret],
    deployment: DeploymentId,
    commit: CommitSha | None,
) -> Secret:
    """Return the environment file: what is declared, ``PORT``, and the project's secrets.

    ``RECONCILER_DEPLOYMENT`` is the number by which a process that runs is known again, and
    ``RECONCILER_BUILD_COMMIT`` what it was built of, for it to tell.

    Raises:
        InvalidInput: systemd takes no variable like that.
    """
    values = dict(target.environment)
    if target.port is not None:
        values["PORT"] = str(target.port)
    values.update((name, secret.reveal()) for name, secret in variables.items())
    values["RECONCILER_DEPLOYMENT"] = str(deployment)
    if commit is not None:
        values["RECONCILER_BUILD_COMMIT"] = commit.text
    return Secret.of("".join(f"{_assignment(*pair)}\n" for pair in sorted(values.items())))


def _user(target: Target) -> list[str]:
    if not target.user:
        return []
    lines = [f"User={target.user}"]
    if target.port is not None and target.port < _FIRST_FREE_PORT:
        lines.append("AmbientCapabilities=CAP_NET_BIND_SERVICE")
    return lines


def _hardening(folder: HostPath) -> list[str]:
    lines = [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectControlGroups=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
    ]
    # What is hidden from it can't hold its program.
    if not folder.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108  a name, not a file of ours
        lines.append("PrivateTmp=yes")
    at_home = folder.startswith(("/home/", "/root/", "/run/user/"))
    lines.append(f"ProtectHome={'read-only' if at_home else 'yes'}")
    return lines


def _assignment(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput("environment", name, "is no name of a variable")
    if any(ord(letter) < ord(" ") and letter not in "\n\t" for letter in value):
        raise InvalidInput("environment", name, "has a value with control characters")
    escaped = _ESCAPED.sub(r"\\\1", value)
    return f'{name}="{escaped}"'
