"""Bodies of projects."""

from datetime import datetime
from typing import Any, Self

from reconciler.domain.deployment import DeploymentId
from reconciler.domain.migration import declaration_of as declaration_of_migration
from reconciler.domain.project import ProjectKind
from reconciler.domain.version_check import declaration_of as declaration_of_version
from reconciler.pipeline.declaring.project_draft import ProjectDraft
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said
from reconciler.web.schemas.project_summary import (
    IMAGE,
    EnvironmentBody,
    PassedOverBody,
    QuarantineBody,
    SummaryBody,
    summary_values,
)
from reconciler.web.schemas.rules import FreezeBody, RulesBody

MIGRATION: dict[str, Any] = {"command": ["bin/migrate", "up"], "approval_status": 3}
VERSION: dict[str, Any] = {"port": 8080, "path": "/version", "json_path": "commit"}


class NewProject(Asked):
    """A project to declare. Which fields belong to which kind: see the kind."""

    name: str = said("1 to 63 of a-z, 0-9 and '-'; also the compose project's name.", "shop")
    kind: str | None = said(
        "compose, image, unit, tunnel or domain_only; null: that of the environment before.",
        "compose",
        default=None,
    )
    repository: str | None = said(
        "compose, unit: a repository kept here; or `url`.", "shop", default=None
    )
    create_repository: bool = said("Make `repository` if it is not there.", True, default=False)
    url: str | None = said(
        "compose, unit: https:// or ssh:// URL of a repository elsewhere; or `repository`.",
        "https://git.example/team/shop.git",
        default=None,
    )
    branch: str | None = said(
        "compose, unit: the branch that is followed; null: main.", "main", default=None
    )
    compose_path: str | None = said(
        "compose: path of the compose file in the repository; null: compose.yaml.",
        "deploy/compose.yaml",
        default=None,
    )
    image: str | None = said("image: the image that is followed.", IMAGE, default=None)
    ports: list[str] = said("image: ports in compose's short syntax.", ["8080:80"], default=[])
    volumes: list[str] = said("image: named volumes.", ["data:/var/lib/app"], default=[])
    expose_service: str | None = said(
        "compose: the service that is reached from outside; needed before it deploys.",
        "web",
        default=None,
    )
    expose_port: int | None = said(
        "compose: its port, 1 to 65535; needed before it deploys.", 8080, default=None
    )
    stateful_services: list[str] = said(
        "compose: services that keep data and are never pinned.", ["db"], default=[]
    )
    auto_deploy: bool = said("Whether triggers deploy it by themselves.", True, default=False)
    one_by_one: bool = said(
        "Hosts one after another, stopping at the first failure; else all at once.",
        True,
        default=False,
    )
    mend_drift: bool = said(
        "compose, image, unit: whether what was deployed is put back by itself where what runs "
        "came to differ from it.",
        True,
        default=False,
    )
    migration: dict[str, Any] | None = said(
        "compose, image: a command that runs in the new image before anything is switched: "
        "`command`, `service`, `timeout_seconds`, `approval_status`.",
        MIGRATION,
        default=None,
    )
    version: dict[str, Any] | None = said(
        "Where the app tells its commit over HTTP: `port` (of a unit null: its target's), `path`, "
        "`json_path`, `service`, `timeout_seconds`, `start_period_seconds`, `interval_seconds`, "
        "`retries`, `successes`.",
        VERSION,
        default=None,
    )
    push_images: bool = said(
        "compose: whether images that are built go to the registry that `image:` names.",
        True,
        default=False,
    )
    allow_manifest: bool = said(
        "compose, unit: whether `.reconciler.toml` in the repository may add to this declaration.",
        True,
        default=False,
    )
    watch_paths: list[str] = said(
        "compose, unit: folders, files and globs of the repository; a commit that changes none "
        "of them, compared with what runs, is passed over. Empty: every commit counts.",
        ["apps/shop", "**/*.sql"],
        default=[],
    )
    skip_markers: bool = said(
        "compose, unit: whether `[skip cd]`, `[skip ci]` and the like in the newest commit's "
        "message have it passed over.",
        True,
        default=False,
    )
    commit_statuses: bool = said(
        "compose, unit with `url`: whether the forge is told how each commit fares; needs the "
        "secret `forge-token`.",
        True,
        default=False,
    )
    forge: str | None = said(
        "compose, unit: which forge `url` is at: gitea, forgejo, gogs, github or gitlab; null: as "
        "github.com and gitlab.com tell.",
        "forgejo",
        default=None,
    )
    forge_url: str | None = said(
        "compose, unit: address of the forge; null: the host of `url`, over https.",
        "https://git.example",
        default=None,
    )
    environment: EnvironmentBody | None = said(
        "Which environment of an app it is. What describes the app, and is left out here, is "
        "taken from the environment before.",
        default=None,
    )
    rules: RulesBody | None = said(
        "When it may change, how old images have to be, and who approves.", default=None
    )

    def draft(self) -> ProjectDraft:
        """Return what was asked for."""
        values: dict[str, Any] = self.model_dump(exclude={"create_repository"})
        for field in ("ports", "volumes", "stateful_services", "watch_paths"):
            values[field] = tuple(values[field])
        return ProjectDraft(**values)


class ProjectPatch(Asked):
    """Fields to change; a field that is left out stays, null clears it."""

    repository: str | None = said("compose, unit: a repository kept here.", "shop", default=None)
    url: str | None = said(
        "compose, unit: URL of a repository elsewhere. Another host drops the old credential.",
        "https://git.example/team/shop.git",
        default=None,
    )
    branch: str | None = said(
        "compose, unit: the branch that is followed.", "release/2", default=None
    )
    compose_path: str | None = said(
        "compose: path of the compose file.", "compose.yaml", default=None
    )
    image: str | None = said("image: the image that is followed.", IMAGE, default=None)
    ports: list[str] | None = said("image: ports.", ["8080:80"], default=None)
    volumes: list[str] | None = said("image: named volumes.", ["data:/var/lib/app"], default=None)
    expose_service: str | None = said("compose: service reached from outside.", "web", default=None)
    expose_port: int | None = said("compose: its port.", 8080, default=None)
    stateful_services: list[str] | None = said("compose: never pinned.", ["db"], default=None)
    auto_deploy: bool | None = said(
        "Whether triggers deploy it by themselves.", False, default=None
    )
    one_by_one: bool | None = said("Hosts one after another.", True, default=None)
    mend_drift: bool | None = said("Put back what was deployed.", True, default=None)
    migration: dict[str, Any] | None = said(
        "compose, image: the migration, as a whole.", MIGRATION, default=None
    )
    version: dict[str, Any] | None = said(
        "Where the app tells its commit, as a whole.", VERSION, default=None
    )
    push_images: bool | None = said("compose: push what is built.", True, default=None)
    allow_manifest: bool | None = said("compose, unit: heed the manifest.", True, default=None)
    watch_paths: list[str] | None = said(
        "compose, unit: paths of the repository that concern it.", ["apps/shop"], default=None
    )
    skip_markers: bool | None = said(
        "compose, unit: heed `[skip cd]` and the like.", True, default=None
    )
    commit_statuses: bool | None = said(
        "compose, unit: tell the forge how each commit fares.", True, default=None
    )
    forge: str | None = said("compose, unit: which forge it is.", "forgejo", default=None)
    forge_url: str | None = said(
        "compose, unit: address of the forge. Another host drops the old token.",
        "https://git.example",
        default=None,
    )
    environment: EnvironmentBody | None = said(
        "Which environment of an app it is, as a whole.", default=None
    )
    rules: RulesBody | None = said("Its rules, as a whole; null: none.", default=None)

    def change(self) -> dict[str, Any]:
        """Return the fields that were given."""
        given = {field: getattr(self, field) for field in self.model_fields_set}
        if self.environment is not None:
            given["environment"] = self.environment.declared()
        if self.rules is not None:
            given["rules"] = self.rules.declared()
        return {
            field: tuple(value) if isinstance(value, list) else value
            for field, value in given.items()
        }


class ProjectBody(SummaryBody):
    """A project in full: its declaration and what is known of it."""

    compose_path: str | None = said("compose: path of the compose file.", "compose.yaml")
    ports: list[str] = said("image: its ports.", ["8080:80"])
    volumes: list[str] = said("image: its named volumes.", ["data:/var/lib/app"])
    expose_service: str | None = said("compose: service reached from outside.", "web")
    expose_port: int | None = said("compose: its port.", 8080)
    stateful_services: list[str] = said("compose: services that are never pinned.", ["db"])
    hosts: list[str] = said("Where it is deployed to.", ["local"])
    one_by_one: bool = said("Whether hosts are deployed to one after another.", False)
    mend_drift: bool = said("Whether what drifted is put back by itself.", False)
    migration: dict[str, Any] | None = said("What runs before anything is switched.", MIGRATION)
    version: dict[str, Any] | None = said("Where the app tells its commit.", VERSION)
    push_images: bool = said("compose: whether what is built is pushed.", False)
    allow_manifest: bool = said("Whether the repository may add to this declaration.", False)
    watch_paths: list[str] = said(
        "Paths that a commit has to change to be deployed by itself; empty: any.", ["apps/shop"]
    )
    skip_markers: bool = said("Whether `[skip cd]` and the like are heeded.", False)
    commit_statuses: bool = said("Whether the forge is told how each commit fares.", False)
    forge: str | None = said("Which forge it is; null: as the source's host tells.", "forgejo")
    forge_url: str | None = said("Its address; null: the source's.", "https://git.example")
    rules: RulesBody | None = said(
        "When it may change, how old images have to be, and who approves; null: no rules.", None
    )
    freeze: FreezeBody | None = said("That it is to stay as it is; null: it may change.", None)
    passed_over: PassedOverBody | None = said(
        "The newest commit, where it was seen and is not deployed by itself.", None
    )
    generation: int = said("Grows with each edit of what would run.", 3)
    created_at: datetime = said("When it was declared.", AT)
    updated_at: datetime = said("When its declaration changed last.", AT)
    queued: int | None = said("The deployment that waits.", 44)
    running: int | None = said("The deployment that is under way.", 43)
    quarantined: list[QuarantineBody] = said("Revisions that were rolled back.", [])
    auto_deploy_refused: str | None = said(
        "Why auto-deploy can't be switched on.", "a domain_only project has nothing to deploy"
    )
    restorable: list[int] = said("Deployments that can be gone back to, newest first.", [42, 40])
    notes: list[str] | None = said(
        "What a change did besides, or what still stands in the way.",
        ["the credential bound to https://old.example was dropped"],
        default=None,
    )

    @classmethod
    def in_full(
        cls,
        summary: ProjectSummary,
        restorable: list[DeploymentId],
        now: datetime,
        notes: tuple[str, ...] | None = None,
    ) -> Self:
        """Return the body of ``summary``, as of ``now``, with the declaration."""
        project, state = summary.project, summary.state
        refused = project.kind is ProjectKind.DOMAIN_ONLY
        return cls(
            **summary_values(summary),
            compose_path=project.compose_path if project.kind is ProjectKind.COMPOSE else None,
            ports=list(project.container.ports),
            volumes=list(project.container.volumes),
            expose_service=project.expose_service,
            expose_port=project.expose_port,
            stateful_services=list(project.stateful_services),
            hosts=[target.host for target in project.where],
            one_by_one=project.one_by_one,
            mend_drift=project.mend_drift,
            migration=declaration_of_migration(project.migration) if project.migration else None,
            version=declaration_of_version(project.version) if project.version else None,
            push_images=project.push_images,
            allow_manifest=project.allow_manifest,
            watch_paths=[str(pattern) for pattern in project.watch_paths],
            skip_markers=project.skip_markers,
            commit_statuses=project.commit_statuses,
            forge=project.forge,
            forge_url=str(project.forge_url) if project.forge_url else None,
            rules=RulesBody.of(project.rules),
            freeze=FreezeBody.of(state.freeze, now),
            passed_over=PassedOverBody.of(state.passed_over_at(summary.health.observed)),
            generation=project.generation,
            created_at=project.created_at,
            updated_at=project.updated_at,
            queued=state.queued.id if state.queued else None,
            running=state.running.id if state.running else None,
            quarantined=[QuarantineBody.of(one) for one in state.quarantined],
            auto_deploy_refused="a domain_only project has nothing to deploy" if refused else None,
            restorable=list(restorable),
            notes=None if notes is None else list(notes),
        )


class ProjectList(Answer):
    """All projects, by name."""

    items: list[SummaryBody] = said("The projects.", [])
    next: str | None = next_page()


class LiftedBody(Answer):
    """How many quarantines were lifted."""

    lifted: int = said("How many there were.", 1)


class LookingBody(Answer):
    """The project is being looked at."""

    looking: bool = said("Always true.", True)
