"""``Config``: every setting of the daemon, declared once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.config.values import (
    BRANCH,
    HOSTS,
    LISTEN,
    PATH,
    REALMS,
    REGISTRIES,
    REGISTRY,
    REPOSITORY,
    REPOSITORY_PATH,
    SECONDS,
    SECRET,
    TEXT,
    URL,
    WHOLE,
    Key,
    Kind,
    Listen,
    one_of,
)
from reconciler.domain.forge import WebAddress
from reconciler.domain.references import BranchName, GitUrl, ProjectName, RepositoryPath
from reconciler.domain.secret import Secret


def _key(
    kind: Kind,
    default: object,
    meaning: str,
    *,
    limits: tuple[int, int] | None = None,
    name: str = "",
    variable: str = "",
) -> dict[str, Any]:
    at_least, at_most = limits or (None, None)
    return {"key": Key(name, variable, kind, default, meaning, at_least, at_most)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that the operator decided, checked. Durations are ``timedelta``, paths are absolute."""

    # ── where ──
    data_folder: Path = field(
        metadata=_key(
            PATH,
            "",
            "Where everything is kept: database, keys, hosted repositories, checkouts. "
            "Empty: $XDG_STATE_HOME/reconciler, or ~/.local/state/reconciler.",
        )
    )
    listen: Listen | None = field(
        metadata=_key(
            LISTEN,
            "127.0.0.1:8484",
            "Address and port of API and page; port 0 takes a free one. Empty: the unix socket "
            "only. It speaks plain HTTP: put a proxy with TLS before any address but loopback.",
        )
    )
    host_names: tuple[str, ...] = field(
        metadata=_key(
            HOSTS,
            [],
            "More names by which people reach it, e.g. the proxy's. Requests for other hosts are "
            "refused, so that no web page elsewhere can talk to it through a name of its own.",
        )
    )
    public_url: WebAddress | None = field(
        metadata=_key(
            URL,
            "",
            "URL by which forges reach this daemon, e.g. the proxy's: https://deploy.example.com. "
            "Its host counts among host_names. Empty: each `reconciler webhook create` says it.",
        )
    )
    socket: Path = field(
        metadata=_key(
            PATH,
            "",
            "The unix socket of the command line: who can open it is the operator. At most 107 "
            "bytes. Empty: run/reconciler.sock in the data folder.",
        )
    )
    database_url: Secret = field(
        metadata=_key(
            SECRET,
            "",
            "postgresql://user:password@host/name. Empty: SQLite in the data folder.",
        )
    )
    docker_socket: Path = field(
        metadata=_key(PATH, "/var/run/docker.sock", "The Docker engine that deployments run on.")
    )
    emergency_file: Path = field(
        metadata=_key(
            PATH,
            "",
            "While this file exists nothing deploys by itself, even if nobody can reach the "
            "daemon: `touch` it. Empty: STOP in the data folder.",
        )
    )

    # ── how much ──
    deployments_at_once: int = field(
        metadata=_key(
            WHOLE, 4, "Deployments side by side; those of one project never are.", limits=(1, 64)
        )
    )
    polls_at_once: int = field(
        metadata=_key(WHOLE, 64, "Looks at git servers side by side.", limits=(1, 1024))
    )
    polls_at_once_per_host: int = field(
        metadata=_key(WHOLE, 8, "Of these, at one and the same server.", limits=(1, 1024))
    )
    lookups_at_once: int = field(
        metadata=_key(WHOLE, 16, "Looks at registries side by side.", limits=(1, 256))
    )
    poll_timeout: timedelta = field(
        metadata=_key(
            SECONDS,
            30,
            "The longest that one look at a git server or registry may take, whatever it does.",
            limits=(1, 30),
        )
    )
    stability_healthy: timedelta = field(
        metadata=_key(
            SECONDS,
            5,
            "How long a service whose health check passes must stay well to count as deployed.",
            limits=(1, 600),
        )
    )
    stability_unchecked: timedelta = field(
        metadata=_key(
            SECONDS,
            25,
            "The same for one without a health check: longer than a slow crash takes.",
            limits=(1, 600),
        )
    )
    verify_timeout: timedelta = field(
        metadata=_key(
            SECONDS,
            300,
            "The longest that a deployment may take to become well, slow health checks included.",
            limits=(10, 7200),
        )
    )
    deployment_timeout: timedelta = field(
        metadata=_key(
            SECONDS,
            3600,
            "The longest that one stage of a deployment may take.",
            limits=(60, 86400),
        )
    )
    kept_revisions: int = field(
        metadata=_key(
            WHOLE, 5, "Deployed revisions kept per project to roll back to.", limits=(1, 100)
        )
    )
    shutdown_grace: timedelta = field(
        metadata=_key(
            SECONDS,
            30,
            "How long running deployments may go on when the daemon is told to stop; what is not "
            "done by then is taken up at the next start.",
            limits=(0, 3600),
        )
    )

    # ── logs ──
    log_level: str = field(
        metadata=_key(
            one_of(("debug", "info", "warning", "error")),
            "info",
            "debug, info, warning or error.",
        )
    )
    log_format: str = field(
        metadata=_key(one_of(("text", "json")), "text", "text or json, one record a line.")
    )

    # ── trust ──
    git_ca_file: Path | None = field(
        metadata=_key(
            PATH,
            "",
            "PEM file of authorities that may vouch for git servers. Empty: the system's.",
        )
    )
    registry_ca_file: Path | None = field(
        metadata=_key(
            PATH,
            "",
            "PEM file of authorities that may vouch for registries. Empty: the system's.",
        )
    )
    insecure_registries: tuple[str, ...] = field(
        metadata=_key(
            REGISTRIES,
            [],
            "Registries spoken to without TLS, as host or host:port; localhost always may be.",
        )
    )
    allowed_realms: tuple[tuple[str, str], ...] = field(
        metadata=_key(
            REALMS,
            [],
            "Token servers that may be given a registry's credentials though they are on another "
            'host, as pairs: "registry.example.com=auth.example.com".',
        )
    )

    unconfined_builds: str = field(
        metadata=_key(
            one_of(("refuse", "allow")),
            "refuse",
            "What becomes of a build on this machine where the system has no user namespaces to "
            "keep it from the daemon's own files: refuse, or allow. Who may push to a repository "
            "that is built so can take the daemon over.",
        )
    )

    # ── the fleet file that is followed ──
    fleet_file: Path | None = field(
        metadata=_key(
            PATH,
            "",
            "A fleet file (.toml, .yaml or .json) that is applied at the start and whenever it "
            "changes. What it does not name is left alone.",
        )
    )
    fleet_repository: GitUrl | ProjectName | None = field(
        metadata=_key(
            REPOSITORY,
            "",
            "Instead of fleet_file: the repository that it is in, as the name of one that is "
            "kept here or an https:// or ssh:// URL.",
        )
    )
    fleet_branch: BranchName = field(
        metadata=_key(BRANCH, "main", "The branch of fleet_repository that is followed.")
    )
    fleet_path: RepositoryPath = field(
        metadata=_key(REPOSITORY_PATH, "fleet.toml", "The fleet file in fleet_repository.")
    )
    fleet_user: str = field(
        metadata=_key(TEXT, "", "User name for fleet_repository, where its server asks for one.")
    )
    fleet_token: Secret = field(
        metadata=_key(
            SECRET,
            "",
            "Password or token for fleet_repository over https://.",
        )
    )
    fleet_key_file: Path | None = field(
        metadata=_key(
            PATH,
            "",
            "OpenSSH private key without a passphrase for fleet_repository over ssh://.",
        )
    )

    # ── the registry that is watched with credentials of its own ──
    registry_address: str = field(
        metadata=_key(
            REGISTRY,
            "",
            "A private registry, as host or host:port. It is probed at start.",
            name="registry.address",
            variable="REGISTRY_ADDR",
        )
    )
    registry_user: str = field(
        metadata=_key(TEXT, "", "Its user.", name="registry.user", variable="REGISTRY_USER")
    )
    registry_password: Secret = field(
        metadata=_key(
            SECRET,
            "",
            "Its password or token. Keep this file readable for its owner only.",
            name="registry.password",
            variable="REGISTRY_PASSWORD",
        )
    )

    #: Values of the live settings for a new database; later ones are changed while it runs.
    settings: Mapping[str, bool | int]
    file: Path | None = None  #: which file was read
    warnings: tuple[str, ...] = ()  #: what is allowed and perhaps not meant

    @property
    def database_file(self) -> Path:
        """Where the embedded database is, unless ``database_url`` names another one."""
        return self.data_folder / "state.db"

    @property
    def own_names(self) -> tuple[str, ...]:
        """By which names people and forges reach it, beside the one that it listens on."""
        public = (self.public_url.host,) if self.public_url else ()
        return (*self.host_names, *public)

    @property
    def token_file(self) -> Path:
        """Where the first start leaves the administrator's token."""
        return self.data_folder / "admin-token"
