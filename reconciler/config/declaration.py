"""``Config``: every setting of the daemon, declared once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path

from reconciler.config.front import FrontSettings
from reconciler.config.places import PlaceSettings
from reconciler.config.setting import setting
from reconciler.config.values import (
    BRANCH,
    PATH,
    REALMS,
    REGISTRIES,
    REGISTRY,
    REPOSITORY,
    REPOSITORY_PATH,
    SECONDS,
    SECRET,
    SWITCH,
    TEXT,
    WHOLE,
    one_of,
)
from reconciler.domain.references import BranchName, GitUrl, ProjectName, RepositoryPath
from reconciler.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(FrontSettings, PlaceSettings):  # the fields of the last one come first
    """All that the operator decided, checked. Durations are ``timedelta``, paths are absolute."""

    # ── how much ──
    deployments_at_once: int = field(
        metadata=setting(
            WHOLE, 4, "Deployments side by side; those of one project never are.", limits=(1, 64)
        )
    )
    polls_at_once: int = field(
        metadata=setting(WHOLE, 64, "Looks at git servers side by side.", limits=(1, 1024))
    )
    polls_at_once_per_host: int = field(
        metadata=setting(WHOLE, 8, "Of these, at one and the same server.", limits=(1, 1024))
    )
    lookups_at_once: int = field(
        metadata=setting(WHOLE, 16, "Looks at registries side by side.", limits=(1, 256))
    )
    poll_timeout: timedelta = field(
        metadata=setting(
            SECONDS,
            30,
            "The longest that one look at a git server or registry may take, whatever it does.",
            limits=(1, 30),
        )
    )
    stability_healthy: timedelta = field(
        metadata=setting(
            SECONDS,
            5,
            "How long a service whose health check passes must stay well to count as deployed.",
            limits=(1, 600),
        )
    )
    stability_unchecked: timedelta = field(
        metadata=setting(
            SECONDS,
            25,
            "The same for one without a health check: longer than a slow crash takes.",
            limits=(1, 600),
        )
    )
    verify_timeout: timedelta = field(
        metadata=setting(
            SECONDS,
            300,
            "The longest that a deployment may take to become well, slow health checks included.",
            limits=(10, 7200),
        )
    )
    deployment_timeout: timedelta = field(
        metadata=setting(
            SECONDS,
            3600,
            "The longest that one stage of a deployment may take.",
            limits=(60, 86400),
        )
    )
    kept_revisions: int = field(
        metadata=setting(
            WHOLE, 5, "Deployed revisions kept per project to roll back to.", limits=(1, 100)
        )
    )
    shutdown_grace: timedelta = field(
        metadata=setting(
            SECONDS,
            30,
            "How long running deployments may go on when the daemon is told to stop; what is not "
            "done by then is taken up at the next start.",
            limits=(0, 3600),
        )
    )

    # ── logs and metrics ──
    log_level: str = field(
        metadata=setting(
            one_of(("debug", "info", "warning", "error")),
            "info",
            "debug, info, warning or error.",
        )
    )
    log_format: str = field(
        metadata=setting(one_of(("text", "json")), "text", "text or json, one record a line.")
    )

    project_metrics: bool = field(
        metadata=setting(
            SWITCH,
            True,
            "Whether /metrics has series of each project: about six each. Without, it has sums.",
        )
    )

    # ── trust ──
    git_ca_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "PEM file of authorities that may vouch for git servers. Empty: the system's.",
        )
    )
    registry_ca_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "PEM file of authorities that may vouch for registries. Empty: the system's.",
        )
    )
    insecure_registries: tuple[str, ...] = field(
        metadata=setting(
            REGISTRIES,
            [],
            "Registries spoken to without TLS, as host or host:port; localhost always may be.",
        )
    )
    allowed_realms: tuple[tuple[str, str], ...] = field(
        metadata=setting(
            REALMS,
            [],
            "Token servers that may be given a registry's credentials though they are on another "
            'host, as pairs: "registry.example.com=auth.example.com".',
        )
    )
    unconfined_builds: str = field(
        metadata=setting(
            one_of(("refuse", "allow")),
            "refuse",
            "What becomes of a build on this machine where the system has no user namespaces to "
            "keep it from the daemon's own files: refuse, or allow. Who may push to a repository "
            "that is built so can take the daemon over.",
        )
    )

    # ── the fleet file that is followed ──
    fleet_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "A fleet file (.toml, .yaml or .json) that is applied at the start and whenever it "
            "changes. What it does not name is left alone.",
        )
    )
    fleet_repository: GitUrl | ProjectName | None = field(
        metadata=setting(
            REPOSITORY,
            "",
            "Instead of fleet_file: the repository that it is in, as the name of one that is "
            "kept here or an https:// or ssh:// URL.",
        )
    )
    fleet_branch: BranchName = field(
        metadata=setting(BRANCH, "main", "The branch of fleet_repository that is followed.")
    )
    fleet_path: RepositoryPath = field(
        metadata=setting(REPOSITORY_PATH, "fleet.toml", "The fleet file in fleet_repository.")
    )
    fleet_user: str = field(
        metadata=setting(TEXT, "", "User name for fleet_repository, where its server asks for one.")
    )
    fleet_token: Secret = field(
        metadata=setting(
            SECRET,
            "",
            "Password or token for fleet_repository over https://.",
        )
    )
    fleet_key_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "OpenSSH private key without a passphrase for fleet_repository over ssh://.",
        )
    )

    # ── the registry that is watched with credentials of its own ──
    registry_address: str = field(
        metadata=setting(
            REGISTRY,
            "",
            "A private registry, as host or host:port. It is probed at start.",
            name="registry.address",
            variable="REGISTRY_ADDR",
        )
    )
    registry_user: str = field(
        metadata=setting(TEXT, "", "Its user.", name="registry.user", variable="REGISTRY_USER")
    )
    registry_password: Secret = field(
        metadata=setting(
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
    def secrets(self) -> tuple[Secret, ...]:
        """What nothing may show, the empty ones included."""
        values = (getattr(self, one.name) for one in fields(self))
        return tuple(value for value in values if isinstance(value, Secret))

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
    def set_up_file(self) -> Path:
        """Where a start leaves the token that makes the first admin."""
        return self.data_folder / "set-up-token"
