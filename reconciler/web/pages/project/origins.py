"""Where a project comes from and where it runs, as its page shows it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.domain.errors import InvalidComposeFile, SourceDenied, SourceThrottled
from reconciler.domain.health_check import HealthCheck, ProbeKind
from reconciler.domain.host import HostName
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.state import SourceHealth
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages import moments
from reconciler.web.pages.sentences import counted
from reconciler.web.pages.words import Badge

ANSWERS = Badge("Answers", "ok", "ok")
NO_ANSWER = Badge("No answer", "warn", "hold")
REFUSED = Badge("Refused", "lock", "fail")
BRANCH_GONE = Badge("Branch is gone", "branch", "fail")
UNREADABLE = Badge("Unreadable", "warn", "fail")
THROTTLED = Badge("Throttled", "queue", "hold")
NOT_LOOKED_AT = Badge("Not looked at yet", "todo", "off")


def badge_of_source(health: SourceHealth) -> Badge:
    """Return how looking at a source goes."""
    if health.branch_gone:
        return BRANCH_GONE
    if health.error:
        by_code = {
            SourceDenied.code: REFUSED,
            SourceThrottled.code: THROTTLED,
            InvalidComposeFile.code: UNREADABLE,
        }
        return by_code.get(health.error.code, NO_ANSWER)
    return ANSWERS if health.looked_at else NOT_LOOKED_AT


@dataclass(frozen=True, slots=True)
class RunsOn:
    """Where it runs, and what has to be so there."""

    how: str
    hosts: Sequence[HostName]
    one_by_one: bool
    pinned: Sequence[HostName]  #: those with its volumes
    healthy: Sequence[str]  #: what counts as that
    rules: Sequence[str]  #: what has to hold before it changes
    kept: int  #: earlier revisions that can be gone back to


def runs_on(summary: ProjectSummary, kept: int) -> RunsOn:
    """Return where a project runs."""
    project, live = summary.project, summary.state.live
    here = {one.host for one in live.prepared.targets} if live and live.prepared else set()
    return RunsOn(
        _how(summary),
        [one.host for one in project.where],
        project.one_by_one,
        [one.host for one in project.where if one.keeps_volumes and one.host in here],
        list(_healthy(project)),
        list(_rules(project)),
        kept,
    )


def _how(summary: ProjectSummary) -> str:
    strategies = dict.fromkeys(str(one.strategy) for one in summary.project.where)
    text = ", ".join(strategies)
    live = summary.state.live
    if live and live.prepared and summary.project.kind is ProjectKind.COMPOSE:
        text += f", {counted(len(live.prepared.targets[0].services), 'service')}"
    return text


def _healthy(project: Project) -> Iterator[str]:
    told = dict.fromkeys(one for target in project.where for one in _checks(target))
    yield from told
    if version := project.version:
        yield f"GET {version.path} tells the commit that was deployed"


def _checks(target: Target) -> Iterator[str]:
    for check in (target.health, target.ready):
        if check:
            yield check_in_words(check)
    if target.health is None:
        yield _WITHOUT_CHECK[target.strategy]


_WITHOUT_CHECK = {
    TargetStrategy.COMPOSE: "every container runs, and is healthy where its image says how",
    TargetStrategy.SYSTEMD: "the unit runs, and keeps running",
    TargetStrategy.SYSTEMD_REMOTE: "the unit runs, and keeps running",
    TargetStrategy.KUBERNETES: "every workload is rolled out, and stays ready",
}


def check_in_words(check: HealthCheck) -> str:
    """Return what a check asks, and which answer is good."""
    often = f"{check.successes} in a row" if check.successes > 1 else "once"
    match check.kind:
        case ProbeKind.HTTP:
            low, high = check.status
            good = str(low) if low == high else f"{low}–{high}"
            return f"GET :{check.port}{check.path} is {good}, {often}"
        case ProbeKind.TCP:
            return f"port {check.port} takes connections, {often}"
        case ProbeKind.COMMAND:
            return f"`{' '.join(check.command)}` ends with 0, {often}"


def _rules(project: Project) -> Iterator[str]:
    rules, environment = project.rules, project.environment
    if rules.windows:
        yield f"changes {', '.join(map(str, rules.windows))}"
    if rules.minimum_image_age:
        yield f"images are at least {moments.took(rules.minimum_image_age)} old"
    if rules.approvals:
        yield f"{counted(rules.approvals, 'person agrees', 'people agree')} to each promotion"
    if environment and environment.promoted_from and environment.soak:
        yield f"soaks {moments.took(environment.soak)} in the environment before"
    if project.watch_paths:
        yield f"a commit concerns {', '.join(map(str, project.watch_paths))}"
