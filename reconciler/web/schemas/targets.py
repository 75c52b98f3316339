"""Bodies of targets."""

from collections.abc import Mapping
from typing import Any, Self

from reconciler.domain.health_check import HealthCheck, declaration_of
from reconciler.domain.numbers import seconds_of
from reconciler.domain.project import Project
from reconciler.domain.target import Target, TargetStrategy
from reconciler.domain.verification import Health, RunState, Sample
from reconciler.domain.workload import declaration_of as declared
from reconciler.pipeline.declaring.target_draft import TargetDraft
from reconciler.pipeline.target_reports import TargetNow
from reconciler.web.schemas.body import DIGEST, SHA, Answer, Asked, next_page, said
from reconciler.web.schemas.failure import FailureBody

_FOLDER = "/opt/apps/api"
_UNITS = frozenset({TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE})
_IMAGE = "registry.example/team/api"


class HealthCheckBody(Asked):
    """How one asks whether a target is well. What is left out, or null, has its default."""

    kind: str = said("http, tcp or command.", "http")
    port: int | None = said("http, tcp: the target's own unless it is said.", 8080, default=None)
    path: str | None = said("http: the path, with its query; null: /.", "/healthz", default=None)
    status: str | int | None = said(
        "http: the status that is good, or the lowest and the highest; null: 200-399.",
        "200-299",
        default=None,
    )
    text: str | None = said(
        "http: what has to be in the answer; `{commit}` is the commit that is deployed.",
        "{commit}",
        default=None,
    )
    command: list[str] | str | None = said(
        "command: it is well where this ends with status 0.", ["/usr/local/bin/ready"], default=None
    )
    origin: str | None = said(
        "host: asked on the host itself; daemon: from here. Null: host.", "host", default=None
    )
    start_period_seconds: float | None = said(
        "In which a bad answer is no verdict; null: 30.", 30, default=None
    )
    interval_seconds: float | None = said("Between two answers; null: 1.", 1, default=None)
    timeout_seconds: float | None = said("Of one answer; null: 5.", 5, default=None)
    retries: int | None = said("Bad answers in a row that are a verdict; null: 3.", 3, default=None)
    successes: int | None = said("Good ones in a row that are well; null: 3.", 3, default=None)

    @classmethod
    def of(cls, check: HealthCheck | None) -> Self | None:
        """Return the body of ``check``."""
        return cls.model_validate(declaration_of(check)) if check else None

    def declared(self) -> Mapping[str, object]:
        """Return the fields that were given."""
        return self.model_dump(exclude_unset=True)


class WorkloadBody(Asked):
    """A workload of a cluster, and which image each of its containers gets."""

    kind: str = said("deployment, statefulset or daemonset.", "deployment", default="deployment")
    name: str = said("Its name in the cluster.", "web")
    containers: dict[str, str] = said(
        "Container → image, or the service that built it in the environment before.",
        {"app": _IMAGE},
    )


class _Fields(Asked):
    """What a target and a change of one have in common."""

    strategy: str | None = said(
        "compose, or of an image project kubernetes; of a unit systemd (built here) or "
        "systemd-remote (built there). Null: the first.",
        "systemd",
        default=None,
    )
    folder: str | None = said(
        "On the host; null: /opt/apps/ and the project's name.", _FOLDER, default=None
    )
    source_folder: str | None = said(
        "unit: in the repository; null: its top.", "cmd/api", default=None
    )
    build: list[str] | str | None = said(
        "unit: run in the source folder, a list or one line without a shell; null: no build.",
        ["make", "release"],
        default=None,
    )
    binary: str | None = said(
        "unit: what it runs, below the source folder.", "bin/api", default=None
    )
    files: list[str] | None = said(
        "unit: more files or folders that go with it.", ["static"], default=None
    )
    user: str | None = said("unit: whom it runs as; null: root.", "api", default=None)
    port: int | None = said("Where it listens; a unit gets it as PORT.", 8080, default=None)
    health_path: str | None = said(
        "With `port`: short for a `health` over HTTP.", "/healthz", default=None
    )
    environment: dict[str, str] | None = said(
        "Variables that are no secrets.", {"LEVEL": "info"}, default=None
    )
    compose_files: list[str] | None = said(
        "compose: more files, later ones win.", ["compose.live.yaml"], default=None
    )
    base: str | None = said(
        "compose: folder on the host that relative paths start from; null: the work tree.",
        "/srv/shop",
        default=None,
    )
    health: HealthCheckBody | None = said("How one asks whether it is well.", default=None)
    ready_path: str | None = said(
        "With `port`: short for a `ready` over HTTP.", "/ready", default=None
    )
    ready: HealthCheckBody | None = said(
        "How one asks whether it takes requests, beside `health`; both have to pass.", default=None
    )
    confirm_within_seconds: float | None = said(
        "The host goes back by itself unless it was confirmed by then; not on local.",
        120,
        default=None,
    )
    branch: str | None = said("The project's own; another one is refused.", "main", default=None)
    image: str | None = said(
        "systemd, of a promoted project: the image whose folder `image_folder` is the release.",
        _IMAGE,
        default=None,
    )
    image_folder: str | None = said(
        "With `image`: the folder in it; null: /app.", "/srv/api", default=None
    )
    namespace: str | None = said("kubernetes: where it is; null: default.", "shop", default=None)
    workloads: list[WorkloadBody] | None = said(
        "kubernetes: whose images are set; all else of them stays.", default=None
    )

    def values(self) -> dict[str, Any]:
        """Return the fields that were given, as a draft has them."""
        given = {field: getattr(self, field) for field in self.model_fields_set}
        for name, check in (("health", self.health), ("ready", self.ready)):
            if check is not None:
                given[name] = check.declared()
        if self.workloads is not None:
            given["workloads"] = [one.model_dump() for one in self.workloads]
        return {
            field: tuple(value) if isinstance(value, list) else value
            for field, value in given.items()
        }


class NewTarget(_Fields):
    """A host for a project, and how it runs there."""

    host: str = said("Name of a declared host, or local.", "web1")

    def draft(self) -> TargetDraft:
        """Return what was asked for."""
        return TargetDraft(
            **{field: value for field, value in self.values().items() if value is not None}
        )


class TargetPatch(_Fields):
    """Fields to change; a field that is left out stays, null clears it."""


class TargetBody(Answer):
    """One project on one host, as declared."""

    project: str = said("The project.", "api")
    host: str = said("The host.", "web1")
    strategy: TargetStrategy = said("How it changes.", "systemd")
    declared: bool = said("False: implied, because nobody declared a target.", True)
    folder: str | None = said("On the host; null: the daemon's own work tree.", _FOLDER)
    source_folder: str | None = said("unit: in the repository; null: its top.", "cmd/api")
    build: list[str] = said("unit: what builds it.", ["make", "release"])
    binary: str | None = said("unit: what it runs.", "bin/api")
    files: list[str] = said("unit: more that goes with it.", ["static"])
    user: str | None = said("unit: whom it runs as; null: root.", "api")
    port: int | None = said("Where it listens.", 8080)
    environment: dict[str, str] = said("Variables that are no secrets.", {"LEVEL": "info"})
    compose_files: list[str] = said("compose: more files.", ["compose.live.yaml"])
    base: str | None = said("compose: what relative paths start from.", "/srv/shop")
    health: HealthCheckBody | None = said("How one asks whether it is well.")
    ready: HealthCheckBody | None = said("How one asks whether it takes requests.")
    confirm_within_seconds: float | None = said("The host goes back unless confirmed by then.", 120)
    unit: str | None = said("unit: the systemd unit that runs it.", "api.service")
    image: str | None = said("systemd: the image that its releases are made of.", _IMAGE)
    image_folder: str | None = said("systemd: the folder in that image.", "/srv/api")
    namespace: str | None = said("kubernetes: where it is.", "shop")
    workloads: list[WorkloadBody] = said("kubernetes: whose images are set.", [])

    @classmethod
    def of(cls, target: Target, project: Project) -> Self:
        """Return the body of ``target``."""
        confirm, is_unit = target.confirm_within, target.strategy in _UNITS
        return cls(
            project=target.project,
            host=target.host,
            strategy=target.strategy,
            declared=target in project.targets,
            folder=target.folder or None,
            source_folder=target.source_folder,
            build=list(target.build),
            binary=target.binary,
            files=list(target.files),
            user=target.user or None,
            port=target.port,
            environment=dict(target.environment),
            compose_files=list(target.compose_files),
            base=target.base or None,
            health=HealthCheckBody.of(target.health),
            ready=HealthCheckBody.of(target.ready),
            confirm_within_seconds=seconds_of(confirm) if confirm is not None else None,
            unit=target.unit if is_unit else None,
            image=target.image or None,
            image_folder=target.image_folder or None,
            namespace=target.namespace or None,
            workloads=[WorkloadBody.model_validate(declared(one)) for one in target.workloads],
        )


class TargetList(Answer):
    """By project, each in the order of its declaration."""

    items: list[TargetBody] = said("The targets.", [])
    next: str | None = next_page()


class TargetChanged(Answer):
    """A target as it is now."""

    target: TargetBody = said("The target.")
    notes: list[str] = said(
        "What still stands in the way.", ["it will not deploy yet: it has no host to run on"]
    )


class Move(Asked):
    """Where a project goes."""

    to: str = said("Name of a declared host, or local.", "web2")
    leaving: str | None = said("The host that it leaves; null: its only one.", "web1", default=None)


class MovedBody(Answer):
    """Where a project is deployed to from now on."""

    hosts: list[str] = said("Its hosts.", ["web2"])
    notes: list[str] = said(
        "What becomes of what runs, and of its volumes.", ["its volumes stay on web1"]
    )


class ReportBody(Answer):
    """What runs on a target now, in the words of the host."""

    state: str = said("systemd's or compose's own word.", "active (running)")
    commit: str | None = said("Of what runs; null where nobody knows.", SHA)
    release: str | None = said("Of a unit its release, else the digests.", "42-9a8b7c6d")
    since: str | None = said("Since when, by the host's clock.", "2026-11-25T17:00:00Z")
    detail: dict[str, str] = said("More facts.", {"web": "running, 4f4f4f4f4f4f"})


class RunningBody(Answer):
    """One container, or one systemd unit, that runs or ran."""

    service: str = said("Its name in the compose file, or the project's.", "web")
    id: str = said("Of the container; of a unit its name.", "4f4f4f4f4f4f")
    state: RunState = said("In the engine's word.", "running")
    health: Health = said("What its own health check says.", "healthy")
    digests: list[str] = said("Every digest that is known of what it runs.", [DIGEST])

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """Return the body of ``sample``."""
        return cls(
            service=sample.service,
            id=sample.id,
            state=sample.state,
            health=sample.health,
            digests=sorted(digest.text for digest in sample.digests),
        )


class TargetStatusBody(Answer):
    """A target, what should run there, and what does."""

    project: str = said("The project.", "api")
    host: str = said("The host.", "web1")
    strategy: TargetStrategy = said("How it changes.", "systemd")
    deployment: int | None = said("Whose revision should run; null: none was deployed there.", 42)
    commit: str | None = said("The commit that should run.", SHA)
    now: ReportBody | None = said("What runs; null where nobody could say.")
    running: list[RunningBody] = said("Each of what was deployed, as it is now.", [])
    differs: bool | None = said("Whether that is another thing; null where nobody can say.", False)
    differences: list[str] = said("What is not as it was deployed.", [])
    error: FailureBody | None = said("Why nobody could say what runs.", None)

    @classmethod
    def of(cls, one: TargetNow) -> Self:
        """Return the body of ``one``."""
        running, expected = one.running, one.prepared.revision.commit if one.prepared else None
        known = running is not None and one.prepared is not None
        return cls(
            project=one.target.project,
            host=one.target.host,
            strategy=one.target.strategy,
            deployment=one.deployment.id if one.deployment else None,
            commit=expected.text if expected else None,
            now=_report(one),
            running=[RunningBody.of(sample) for sample in running.samples] if running else [],
            differs=bool(running and running.differences) if known else None,
            differences=list(running.differences) if running else [],
            error=FailureBody.of(one.error),
        )


class TargetStatusList(Answer):
    """By project, each in the order of its declaration."""

    items: list[TargetStatusBody] = said("The targets.", [])


def _report(one: TargetNow) -> ReportBody | None:
    if one.running is None:
        return None
    report = one.running.report
    return ReportBody(
        state=report.state,
        commit=report.commit.text if report.commit else None,
        release=report.release or None,
        since=report.since or None,
        detail=dict(report.detail),
    )
