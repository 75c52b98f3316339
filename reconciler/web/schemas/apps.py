"""Bodies of the paths that callers of earlier systems know: apps, and the deploy log."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Self

from reconciler.domain.deployment import Deployment, Stage, Status
from reconciler.domain.references import ProjectName
from reconciler.domain.verification import Sample
from reconciler.pipeline.explain import ProjectSummary, StandingCode
from reconciler.pipeline.target_reports import TargetNow
from reconciler.ports import LogLine
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, said
from reconciler.web.schemas.deployments import (
    DeploymentBody,
    LogLineBody,
    StageAheadBody,
    StageBody,
    milliseconds,
)
from reconciler.web.schemas.failure import FailureBody
from reconciler.web.schemas.targets import TargetStatusBody


class ProgressBody(Answer):
    """How far an app's newest deployment is."""

    app: str = said("The app: a project's name.", "shop")
    deployment: int = said("The deployment under way, or the last one.", 42)
    status: Status = said("Where it stands.", "running")
    stage: Stage = said("The stage under way, or the last one.", "apply")
    since: datetime = said("Since when it is in that stage, or when it was asked for.", AT)
    usual_seconds: float | None = said(
        "How long that stage took lately, where all went well; null where nobody knows.", 2.5
    )
    stages: list[StageBody] = said("The stages so far.", [])
    ahead: list[StageAheadBody] = said("Those still to come if all goes well.", [])
    lines: list[LogLineBody] = said("Lines of its log, in order.", [])
    finished: bool = said("Whether it has ended.", False)

    @classmethod
    def of(cls, deployment: DeploymentBody, lines: Sequence[LogLine]) -> Self:
        """Return the body of ``deployment`` with ``lines`` of its log."""
        last = deployment.stages[-1] if deployment.stages else None
        return cls(
            app=deployment.project,
            deployment=deployment.id,
            status=deployment.status,
            stage=deployment.stage,
            since=last.started_at if last else deployment.created_at,
            usual_seconds=last.usual_seconds if last else None,
            stages=deployment.stages,
            ahead=deployment.ahead,
            lines=[LogLineBody.of(line) for line in lines],
            finished=deployment.status.final,
        )


class RuntimeServiceBody(Answer):
    """One service, or the unit: what runs of it, and what should."""

    name: str = said("Which.", "web")
    running: list[str] = said(
        "The digest of what runs; all by which an image that nobody pinned is known.", [DIGEST]
    )
    expected: str | None = said("The digest that should run; null where none was pinned.", DIGEST)


class RuntimeHostBody(Answer):
    """What runs of an app on one host, and what should."""

    host: str = said("Which.", "local")
    deployment: int | None = said("Whose revision should run; null: none was deployed there.", 42)
    running_commit: str | None = said("The commit that runs; null where nobody knows.", SHA)
    expected_commit: str | None = said("The commit that should run.", SHA)
    services: list[RuntimeServiceBody] = said("Each service, with its digests.", [])
    differs: bool | None = said("Whether another thing runs; null where nobody can say.", False)
    differences: list[str] = said("What is not as it was deployed.", [])
    error: FailureBody | None = said("Why nobody could say what runs.", None)

    @classmethod
    def of(cls, one: TargetNow) -> Self:
        """Return the body of ``one``."""
        told = TargetStatusBody.of(one)
        return cls(
            host=told.host,
            deployment=told.deployment,
            running_commit=told.now.commit if told.now else None,
            expected_commit=told.commit,
            services=list(_services(one)),
            differs=told.differs,
            differences=told.differences,
            error=told.error,
        )


class RuntimeStatusBody(Answer):
    """What runs of an app now, asked of its hosts, and what should."""

    app: str = said("The app: a project's name.", "shop")
    differs: bool | None = said(
        "Whether another thing runs on any host; null where nobody can say of all.", False
    )
    hosts: list[RuntimeHostBody] = said("Each of its hosts.", [])

    @classmethod
    def of(cls, name: ProjectName, targets: Sequence[TargetNow]) -> Self:
        """Return the body of the targets of one project."""
        hosts = [RuntimeHostBody.of(one) for one in targets]
        known = [one.differs for one in hosts]
        differs = True if True in known else None if None in known or not known else False
        return cls(app=name, differs=differs, hosts=hosts)


class AppStatusBody(Answer):
    """Where an app stands, and what runs on its targets."""

    app: str = said("The app: a project's name.", "shop")
    state: StandingCode = said("Where it stands, in one word.", "in-sync")
    state_text: str = said("The same in a sentence.", "deployment 42 runs, and nothing moved since")
    targets: list[TargetStatusBody] = said("Its targets, asked just now.", [])

    @classmethod
    def of(cls, summary: ProjectSummary, targets: Sequence[TargetNow]) -> Self:
        """Return the body of one project."""
        return cls(
            app=summary.project.name,
            state=summary.standing,
            state_text=summary.text,
            targets=[TargetStatusBody.of(one) for one in targets],
        )


class DeployLogBody(Answer):
    """What became of one deployment on one host."""

    app: str = said("The app: a project's name.", "shop")
    host: str | None = said("The host; null: it came to none.", "web1")
    deployment: int = said("Its number.", 42)
    status: str = said(
        "Where it stands on that host, or as a whole where it came to none.", "verified"
    )
    trigger: str = said("What asked for it first.", "push")
    error: str | None = said("What went wrong; null if nothing did.", None)
    duration_ms: int | None = said("How long it took; null before it began.", 2700)
    started_at: datetime = said("When it began there, or was asked for.", AT)

    @classmethod
    def rows(cls, deployment: Deployment) -> Iterator[Self]:
        """Yield a body for each host that ``deployment`` came to, or one for all of it."""
        for target in deployment.targets or (None,):
            error = target.error if target else deployment.error
            took = target.duration if target else deployment.duration
            yield cls(
                app=deployment.project,
                host=target.host if target else None,
                deployment=deployment.id,
                status=target.status if target else deployment.status,
                trigger=deployment.causes[0].trigger,
                error=error.message if error else None,
                duration_ms=milliseconds(took) if took is not None else None,
                started_at=target.started_at if target else deployment.created_at,
            )


class DeployLogList(Answer):
    """The newest first."""

    items: list[DeployLogBody] = said("At most 20.", [])


def _services(one: TargetNow) -> Iterator[RuntimeServiceBody]:
    planned = one.prepared.services if one.prepared else ()
    pins = {str(one.name): one.pin.digest.text for one in planned if one.pin}
    running: dict[str, set[str]] = {service.name: set() for service in planned}
    for sample in one.running.samples if one.running else ():
        running.setdefault(sample.service, set()).update(_shown(sample, pins.get(sample.service)))
    for name, digests in running.items():
        yield RuntimeServiceBody(name=name, running=sorted(digests), expected=pins.get(name))


def _shown(sample: Sample, pinned: str | None) -> set[str]:
    """Return the digest that it should have, if it has it, or else all by which it is known."""
    known = {digest.text for digest in sample.digests}
    return {pinned} if pinned in known and pinned is not None else known
