"""What came of something, said on the page that one is led to.

The address names what was done by a fixed word and what it was done to (`?did=queued&of=1845`).
What is said is written from what is recorded at this moment: what is not so is not said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from reconciler.domain.deployment import Deployment, DeploymentId, Status
from reconciler.domain.errors import ReconcilerError
from reconciler.domain.gate import reasons_to_hold
from reconciler.domain.promoting import approvals_missing
from reconciler.domain.promotion import Promotion, PromotionId, PromotionStatus
from reconciler.domain.references import parse_project_name
from reconciler.domain.revision import Revision
from reconciler.pipeline.explain import ProjectSummary
from reconciler.web.pages.forms import go
from reconciler.web.pages.frame import Frame
from reconciler.web.pages.sentences import sentence
from reconciler.web.pages.words import OF_STATUS
from reconciler.web.schemas.body import MOST_NUMBER

#: No page leads on with more than that.
_MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class Note:
    """What there is to say; foreign text is in ``text`` alone."""

    kind: str  #: ok, fail, hold, off or run
    title: str
    text: str = ""
    code: str = ""
    at: datetime | None = None  #: when that was, after the text
    links: Mapping[str, str] = field(default_factory=dict)  #: what it says → where it leads


def led(path: str, did: str, of: object, **more: object) -> RedirectResponse:
    """Lead to the page at ``path``, and have it say what came of what was done."""
    return go(f"{path}?{urlencode({'did': did, 'of': of, **more})}")


def came_of(frame: Frame) -> Note | None:
    """Return what the page has to say of what was done; None: nothing that is so."""
    tell = _TOLD.get(frame.query.get("did", ""))
    try:
        return tell(frame, frame.query.get("of", "")) if tell else None
    except ReconcilerError:  # there is no such thing, or not any more
        return None


# ── Of deployments ────────────────────────────────────────────────────────────────────────────


def _of_deployment(frame: Frame, of: str) -> Note | None:
    found = _deployment(frame, of)
    if found is None:
        return None
    links = {f"Follow #{found.id}": _address(found)}
    match found.status:
        case Status.QUEUED:
            return Note(
                "run", f"Deployment #{found.id} is queued.", _when(frame, found), links=links
            )
        case Status.RUNNING:
            return Note("run", f"Deployment #{found.id} is under way.", links=links)
    return _ended(found)


def _joined(frame: Frame, of: str) -> Note | None:
    found = _deployment(frame, of)
    if found is None or found.status.final:
        return _ended(found) if found else None
    text = f"Nothing new to start: deployment #{found.id} of the same is under way."
    links = {f"Follow #{found.id}": _address(found)}
    return Note("run", text, _when(frame, found), links=links)


def _cancelled(frame: Frame, of: str) -> Note | None:
    found = _deployment(frame, of)
    if found is None or not (found.status is Status.RUNNING and found.withdrawal):
        return _of_deployment(frame, of) if found else None
    text = "It ends before it changes anything."
    return Note("run", f"Deployment #{found.id} is being cancelled.", text)


def _nothing_to_do(frame: Frame, of: str) -> Note | None:
    found = _deployment(frame, of)
    live = frame.application.store.get_state(found.project).live if found else None
    if found is None or live is None or live.id != found.id:
        return None
    links = {f"#{found.id}": _address(found)}
    if frame.may("trigger", found.project):
        links["Deploy it anyway…"] = f"/projects/{found.project}/deploy"
    title = f"Nothing to do: {_named(found.target_revision)} already runs."
    return Note("off", title, "Verified", at=found.finished_at, links=links)


def _ended(found: Deployment) -> Note:
    links = {f"See #{found.id}": _address(found)}
    if found.status is Status.DEPLOYED:
        text = "What runs was read back, and is what was asked for."
        return Note("ok", f"Deployment #{found.id} is verified.", text, links=links)
    words = " and ".join(one.word.lower() for one in OF_STATUS[found.status])
    told = found.error.message if found.error else ""
    code = str(found.error.code) if found.error else ""
    ended_quietly = found.status in {Status.WITHDRAWN, Status.SUPERSEDED}
    if ended_quietly:
        told = f"Nothing was changed: {sentence(told)}" if told else "Nothing was changed."
    kind = "off" if ended_quietly else "fail"
    return Note(kind, f"Deployment #{found.id}: {words}.", told, code, links=links)


def _when(frame: Frame, found: Deployment) -> str:
    """Return when what waits will start, as far as anybody knows."""
    if found.status is not Status.QUEUED:
        return ""
    store = frame.application.store
    running = store.get_state(found.project).running
    if running is not None:
        return f"It starts when #{running.id} is done."
    place = store.queue_place(found.id, frame.now)
    if place.ahead or place.running:
        return f"{place.running} are under way, {place.ahead} wait before it."
    return "It starts at once."


def _deployment(frame: Frame, of: str) -> Deployment | None:
    found = frame.application.store.get_deployment(DeploymentId(number(of)))
    return found if frame.sight.has(found.project) else None


def _address(deployment: Deployment) -> str:
    return f"/deployments/{deployment.id}"


# ── Of projects ───────────────────────────────────────────────────────────────────────────────


def _turned(frame: Frame, of: str) -> Note | None:
    one = _summary(frame, of)
    if one is None:
        return None
    if not one.project.auto_deploy:
        text = "What moves is shown and not deployed. What runs keeps running."
        return Note("off", "Auto-deploy is off.", text)
    held = reasons_to_hold(one.project, frame.switch, one.state.freeze, frame.now)
    if held:
        return Note(
            "hold", "Auto-deploy is on.", f"It waits: {sentence(held[0].text)}", held[0].code
        )
    return Note("ok", "Auto-deploy is on.", "It is looked at now; what moved deploys.")


def _paused(frame: Frame, of: str) -> Note | None:
    one = _summary(frame, of)
    freeze = one.state.freeze if one else None
    if freeze is None or not freeze.holds(frame.now):
        return None
    until = "until somebody resumes it" if freeze.until is None else "until"
    title = f"Paused {until}." if freeze.until is None else "Paused."
    text = f"“{freeze.reason}”" + ("" if freeze.until is None else ", until")
    return Note("hold", title, text, "frozen", freeze.until)


def _resumed(frame: Frame, of: str) -> Note | None:
    one = _summary(frame, of)
    if one is None or (one.state.freeze and one.state.freeze.holds(frame.now)):
        return None
    return Note("ok", "Resumed.", "What moved meanwhile is looked at now.")


def _lifted(frame: Frame, of: str) -> Note | None:
    one = _summary(frame, of)
    if one is None or one.state.quarantined:
        return None
    goes = one.project.auto_deploy
    text = "It is looked at now." if goes else "Auto-deploy is off: nothing deploys by itself."
    return Note("ok" if goes else "off", "The quarantine is lifted.", text)


def _looking(frame: Frame, of: str) -> Note | None:
    one, asked = _summary(frame, of), frame.query.get("since", "")
    if one is None:
        return None
    looked = one.health.looked_at
    if looked and asked.isdecimal() and len(asked) < 12 and looked.timestamp() >= int(asked):
        failed = one.health.error
        if failed:
            return Note("hold", "It did not answer.", failed.message, str(failed.code), looked)
        return Note("ok", "Looked.", sentence(one.text), at=looked)
    return Note("run", "Looking now.", "At its source and its images.")


def _removed(frame: Frame, of: str) -> Note | None:
    name = parse_project_name(of)
    if not frame.sight.has(name) or any(one.project.name == name for one in frame.summaries):
        return None
    return Note("off", f"There is no {name} here.", "What it left running is looked after no more.")


def _adopted(frame: Frame, of: str) -> Note | None:
    names = [parse_project_name(one) for one in of.split(" ")[:_MOST_NAMES]]
    seen = [one.project for one in map(frame.application.summary, filter(frame.sight.has, names))]
    if not seen or any(one.followed_folder is None for one in seen):
        return None
    if len(seen) == 1:
        text = "Nothing that runs was touched. Its first deployment runs the images that run now."
        links = {"See what it would change": f"/projects/{seen[0].name}?plan=true"}
        return Note("ok", f"{seen[0].name} is a project now.", text, links=links)
    text = "Nothing that runs was touched. Each starts when a person says so:"
    links = {str(one.name): f"/projects/{one.name}" for one in seen}
    return Note("ok", f"{len(seen)} more projects.", text, links=links)


def _summary(frame: Frame, of: str) -> ProjectSummary | None:
    name = parse_project_name(of)
    return frame.application.summary(name) if frame.sight.has(name) else None


# ── Of promotions ─────────────────────────────────────────────────────────────────────────────


def _promoted(frame: Frame, of: str) -> Note | None:
    found = frame.application.store.get_promotion(PromotionId(number(of)))
    if not frame.sight.has(found.project):
        return None
    if found.became is not None:
        return _of_deployment(frame, str(found.became))
    if found.status is PromotionStatus.WAITING:
        return _waiting(frame, found)
    title = f"{_named(found.revision)} is not promoted: {found.status}."
    return Note("off", title, "", f"promotion-{found.status}")


def _waiting(frame: Frame, found: Promotion) -> Note:
    project = frame.application.store.get_project(found.project)
    missing = approvals_missing(found, project)
    title = f"{_named(found.revision)} is proposed for {project.name}."
    if missing:
        return Note("hold", title, f"It {missing.text}.", missing.code)
    return Note("hold", title, "It is agreed to, and goes as soon as it may.")


def _named(revision: Revision) -> str:
    return revision.commit.short if revision.commit else str(revision)


def number(text: str) -> int:
    """Return the number of something; 0, which nothing has, where it is none."""
    plain = text.isascii() and text.isdecimal() and len(text) <= 10
    return int(text) if plain and int(text) <= MOST_NUMBER else 0


_TOLD: Mapping[str, Callable[[Frame, str], Note | None]] = {
    "queued": _of_deployment,
    "joined": _joined,
    "cancelled": _cancelled,
    "nothing": _nothing_to_do,
    "auto": _turned,
    "paused": _paused,
    "resumed": _resumed,
    "lifted": _lifted,
    "looking": _looking,
    "promoted": _promoted,
    "removed": _removed,
    "adopted": _adopted,
}
