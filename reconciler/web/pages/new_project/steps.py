"""The pages of a project that is being added: what was found so far, and what is asked next."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from starlette.responses import HTMLResponse

from reconciler.app.first_looks import Found
from reconciler.domain.compose import BUILT_HERE
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.host import LOCAL
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import ProjectName
from reconciler.web.pages.forms import status_of
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.new_project.as_command import commands_of
from reconciler.web.pages.new_project.forms import STATEFUL, published_port
from reconciler.web.pages.project.page import ProjectView, project_view
from reconciler.web.pages.project.plans import KeptPlan, PlanView, view_of
from reconciler.web.pages.rendering import page

_SECRETS = ("token", "ssh_key")


class Step(StrEnum):
    """One question."""

    SOURCE = "source"
    RUNS = "runs"
    WHERE = "where"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service of the compose file, and whether its image is watched."""

    name: str
    image: str  #: empty: it has none of its own
    left_alone: str  #: why; empty: it is watched
    stateful: bool
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """What the page shows of a project."""

    project: Project
    current: Step
    found: Found
    lines: tuple[ServiceLine, ...]
    view: ProjectView
    plan: PlanView | None
    hosts: tuple[str, ...]
    commands: tuple[str, ...]
    secrets: tuple[str, ...]  #: names of the credentials that are kept
    given: Mapping[str, str]  #: what its form was sent with, or holds from the store

    @property
    def source(self) -> ExternalSource | None:
        """The repository elsewhere; None: it is here, or there is none."""
        return self.project.source if isinstance(self.project.source, ExternalSource) else None

    def is_done(self, step: Step) -> bool:
        """Tell whether a question comes before the current one."""
        order = list(Step)
        return order.index(step) < order.index(self.current)


def address_of(name: ProjectName, step: Step) -> str:
    """Return where a question of a project is asked."""
    return f"/new/project/{name}?step={step}"


def first_page(
    frame: Frame, given: Mapping[str, str], error: ReconcilerError | None = None
) -> HTMLResponse:
    """Return the page of the first question, with all that was typed but the credential."""
    status, first = status_of(error), not frame.summaries
    return page(
        frame, "new/first.html", status, error=error, given=_without_secrets(given), first=first
    )


def steps_page(
    frame: Frame,
    name: ProjectName,
    step: Step | None,
    error: ReconcilerError | None = None,
    given: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return the page of a question; None: of the first one that has no answer."""
    store = frame.application.store
    project = store.get_project(name)
    current = _current(project, step)
    view, found, plan = project_view(frame, name), Found(), None
    try:
        if current is Step.PLAN:
            made = KeptPlan(frame.now, frame.application.plans.plan(name))
            plan = view_of(made, view.summary, view.images)
        else:
            found = frame.application.first_looks.look(project)
    except ReconcilerError as trouble:
        error = error or trouble
    secrets = store.list_secrets(name)
    steps = Steps(
        project,
        current,
        found,
        tuple(_lines(project, found)),
        view,
        plan,
        (LOCAL, *(one.name for one in store.list_hosts())),
        tuple(commands_of(project, secrets)),
        tuple(one.name for one in secrets),
        _without_secrets(given) if given else _held(project, found),
    )
    return page(frame, "new/steps.html", status_of(error), error=error, steps=steps, Step=Step)


def _without_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """Return what may be filled in again; of a credential, only that it has to be typed anew."""
    kept = {name: text for name, text in given.items() if name not in _SECRETS}
    return kept | {"again": "yes"} if any(map(given.get, _SECRETS)) else kept


def _current(project: Project, step: Step | None) -> Step:
    """Return the question to ask: no plan before it is known what people reach."""
    is_reached = project.image is not None or bool(project.expose_service and project.expose_port)
    if step is Step.PLAN and not is_reached:
        return Step.WHERE
    return step or (Step.PLAN if is_reached else Step.RUNS)


def _lines(project: Project, found: Found) -> list[ServiceLine]:
    by_service = {name: image for image in found.images for name in image.services}
    lines = []
    for service in found.services:
        image = by_service.get(service.name)
        why = image.unwatched_because if image else BUILT_HERE if service.builds else ""
        lines.append(
            ServiceLine(
                service.name,
                image.text if image else service.image or "",
                why,
                service.is_stateful(project.stateful_services),
                tuple(dict.fromkeys(one.number for one in service.ports)),
            )
        )
    return lines


def _held(project: Project, found: Found) -> dict[str, str]:
    """Return what the forms hold before anybody types: what is declared, else what is likely."""
    source, target = project.source, next(iter(project.where), None)
    likely = next((one for one in found.services if one.ports), None)
    service = project.expose_service or (likely.name if likely else "")
    port = project.expose_port or (likely.ports[0].number if likely else "")
    health = target.health if target else None
    usual = published_port(project, found) if project.expose_service else None
    if usual is None and likely and not project.expose_service:
        usual = likely.ports[0].published
    stateful = {f"{STATEFUL}{name}": "on" for name in project.stateful_services}
    return stateful | {
        "url": str(source.url) if isinstance(source, ExternalSource) else "",
        "branch": str(source.branch) if source else "",
        "image": str(project.image or ""),
        "compose_path": project.compose_path,
        "ports": " ".join(project.container.ports),
        "volumes": " ".join(project.container.volumes),
        "host": target.host if target else LOCAL,
        "expose_service": service,
        "expose_port": str(port),
        "health_path": health.path if health else "",
        "health_port": str((health.port if health else usual) or ""),
    }
