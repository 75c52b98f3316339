"""Whether what one environment verified may go to the next, and whether it goes by itself. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.domain.deployment import (
    Deployment,
    PreparedRevision,
    Status,
)
from reconciler.domain.errors import Recovery, Withdrawn
from reconciler.domain.gate import Reason
from reconciler.domain.host import HostName
from reconciler.domain.project import Project
from reconciler.domain.promotion import Promotion, PromotionStatus, Standing, handed_on
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import Digest
from reconciler.domain.revision import Revision, is_image_name
from reconciler.domain.state import ProjectState, Quarantine, WatchedImage

#: Ends that say something of what was deployed.
JUDGED = (Status.DEPLOYED, Status.ROLLED_BACK, Status.FAILED, Status.NEEDS_OPERATOR)
#: Why one that was promoted and did not start is not to be promoted again by itself.
_FINAL_HOLDS = frozenset(
    {Withdrawn.code, str(ReasonCode.APPROVAL_EXPIRED), str(ReasonCode.PROMOTION_REJECTED)}
)
_NEVER = timedelta(0)


@dataclass(frozen=True, slots=True)
class Soak:
    """How long something has stood where it was verified, and how long it has to."""

    stood: timedelta
    needed: timedelta

    @property
    def over(self) -> bool:
        """Whether that is long enough."""
        return self.stood >= self.needed


def name_of_environment(project: Project) -> str:
    """Return what people call the environment: its own name, or else the project's."""
    return project.environment.name if project.environment else project.name


def same_content(one: Revision, other: Revision) -> bool:
    """Tell whether both are the same commit and digests, whatever declaration is to run them."""
    return one.commit == other.commit and dict(one.images) == dict(other.images)


def content_of(deployment: Deployment) -> Revision | None:
    """Return what ``deployment`` would hand on; None where that is not known."""
    return handed_on(deployment.prepared) if deployment.prepared else None


def runs(state: ProjectState, content: Revision) -> bool:
    """Tell whether what is live is ``content``, whatever declaration runs it."""
    live = state.live.target_revision if state.live else None
    return live is not None and live.satisfies(replace(content, generation=live.generation))


def trouble_with(
    chosen: Deployment,
    judged: Iterable[Deployment],
    quarantined: Sequence[Quarantine] = (),
    hosts: Iterable[HostName] = (),
) -> str:
    """Return why ``chosen`` does not count as verified where it was deployed; empty: it does.

    Args:
        chosen: of the environment before.
        judged: what became of deployments there, newest first: the last word on it counts.
        quarantined: what is quarantined there.
        hosts: all that the environment has.
    """
    content = content_of(chosen)
    if chosen.status is not Status.DEPLOYED or chosen.prepared is None or content is None:
        return f"deployment {chosen.id} is {chosen.status}"
    if not _is_of_one_piece(chosen.prepared):
        return f"deployment {chosen.id} went to some hosts only, and others run something else"
    if chosen.hosts and (never := [one for one in hosts if chosen.prepared.find(one) is None]):
        return f"deployment {chosen.id} went to some hosts only, and never to {', '.join(never)}"
    for one in judged:
        found = content_of(one)
        if found is None or not same_content(found, content) or not _is_a_verdict(one):
            continue
        if one.status is Status.DEPLOYED:
            break
        return f"deployment {one.id} of the same was not verified: {one.status}"
    story = (one.story for one in quarantined if same_content(one.revision, chosen.target_revision))
    return next(story, "")


def _is_a_verdict(one: Deployment) -> bool:
    """Tell whether its end says something of what was deployed: not if that was passing."""
    if one.status is Status.DEPLOYED:
        return True
    passing = one.error is not None and one.error.recovery is Recovery.RETRY
    return one.status in JUDGED and one.stage.changes_target and not passing


def _is_of_one_piece(prepared: PreparedRevision) -> bool:
    """Tell whether all hosts were given the same."""
    known: dict[str, Digest] = {}
    for target in prepared.targets:
        if target.revision.commit != prepared.revision.commit:
            return False
        for service in target.services:
            pin = service.pin
            if pin is not None and known.setdefault(service.name, pin.digest) != pin.digest:
                return False
    return True


def longest_stand(standings: Iterable[Standing], now: datetime) -> timedelta:
    """Return the longest stretch of ``standings``; a clock that was set back makes none of it."""
    return max((_NEVER, *((one.until or now) - one.since for one in standings)))


def first_seen(
    content: Revision, deployments: Iterable[Deployment], looked: Iterable[WatchedImage]
) -> dict[str, datetime]:
    """Return when each image of ``content`` was first seen in the environment before.

    What was built there is no image that moved behind a tag, and is left out.

    Args:
        content: what would go on.
        deployments: of the environment before.
        looked: what was last seen behind the tags that it follows.
    """
    sights: dict[str, datetime] = {}
    known = [(one.image, one.digest, one.first_seen_at) for one in looked]
    for one in deployments:
        images = found.images if (found := content_of(one)) else {}
        known += [(image, digest, one.started_at) for image, digest in images.items()]
    for image, digest, at in known:
        if at and is_image_name(image) and content.images.get(image) == digest:
            sights[image] = min(at, sights.get(image, at))
    return sights


def went_back_from(state: ProjectState, deployment: Deployment) -> bool:
    """Tell whether the environment of ``deployment`` went back to something before it since."""
    live, content = state.live, content_of(deployment)
    if live is None or content is None:
        return True
    return not runs(state, content) and (live.id < deployment.id or live.restores is not None)


def last_decision(promotions: Iterable[Promotion], content: Revision) -> Promotion | None:
    """Return the newest of ``promotions`` of the same that nothing took the place of.

    Args:
        promotions: of the environment that it would go to, newest first.
        content: what would go there.
    """
    superseded = PromotionStatus.SUPERSEDED
    alike = (one for one in promotions if same_content(one.revision, content))
    return next((one for one in alike if one.status is not superseded), None)


def stays_decided(one: Promotion, candidate: Deployment, became: Deployment | None) -> bool:
    """Tell whether ``one`` keeps the same from being proposed again by itself.

    What people rejected, let expire, withdrew or went back from is theirs to ask for again, and
    so is what failed. What was only held at its start, by a window say, is proposed anew, and so
    is what the environment before has verified anew since it expired.

    Args:
        one: of the environment that it would go to.
        candidate: of the environment before.
        became: the deployment that ``one`` was admitted as.
    """
    if one.status is PromotionStatus.EXPIRED:
        verified = candidate.finished_at or candidate.created_at
        return one.decided_at is None or verified <= one.decided_at
    if one.status is not PromotionStatus.PROMOTED or became is None or became.error is None:
        return True
    return became.status is not Status.WITHDRAWN or became.error.code in _FINAL_HOLDS


def promoted_only(project: Project) -> Reason:
    """Return why ``project`` is not given what nobody promotes to it."""
    text = (
        f"{project.name} gets what {project.promoted_from} verified, and nothing else; "
        f"`reconciler promote {project.name}` brings it there"
    )
    return Reason(ReasonCode.PROMOTED_ONLY, text)


def soaking(origin: str, deployment: Deployment, soak: Soak) -> Reason:
    """Return why it has to stand longer in ``origin``, an environment's name."""
    revision, stood, needed = deployment.target_revision, soak.stood, soak.needed
    unit, divisor = ("minutes", 60) if needed >= timedelta(minutes=2) else ("seconds", 1)
    x, y = (int(one.total_seconds() / divisor) for one in (stood, needed))
    text = f"{origin} has run {revision} for {x} of the {y} {unit} it has to soak"
    return Reason(ReasonCode.SOAKING, text, deployment.id)


def approvals_missing(promotion: Promotion, project: Project) -> Reason | None:
    """Return how many people have yet to approve; None: enough have."""
    given, missing = promotion.approvals, project.rules.approvals - len(promotion.approvals)
    if missing <= 0:
        return None
    environment = name_of_environment(project)
    text = f"waits for {missing} more approval{'' if missing == 1 else 's'} for {environment}"
    if given:
        text += f"; {', '.join(f'{one.person} gave one' for one in given)}"
    who = " by somebody else" if given else ""
    text += f"; `reconciler approve {project.name}`{who} gives one"
    return Reason(ReasonCode.APPROVAL_MISSING, text, promotion.deployment)


def not_verified(origin: str, deployment: Deployment, trouble: str) -> Reason:
    """Return why ``origin``, an environment's name, hands ``deployment`` on to nobody."""
    revision = deployment.target_revision
    text = f"{revision} is not verified on {origin}, so it can't go further: {trouble}"
    return Reason(ReasonCode.NOT_VERIFIED_UPSTREAM, text, deployment.id)


def rejected(promotion: Promotion) -> Reason:
    """Return who said no, and why."""
    said = next((one for one in reversed(promotion.votes) if not one.approves), None)
    who = f" by {said.person}" if said else ""
    why = f": {said.reason}" if said and said.reason else ""
    text = (
        f"{promotion.revision} was rejected{who}{why}; another revision asks anew, "
        f"or `reconciler promote {promotion.project}` does"
    )
    return Reason(ReasonCode.PROMOTION_REJECTED, text, promotion.deployment)


def runs_out_at(promotion: Promotion, project: Project) -> datetime:
    """Return until when it can be decided, and its approvals count.

    The rules may have been made, or made stricter, after it was proposed.
    """
    rules = project.rules
    if not rules.approvals:
        return promotion.expires_at
    return min(promotion.expires_at, promotion.proposed_at + rules.approval_lifetime)


def expired(promotion: Promotion, project: Project) -> Reason:
    """Return since when its approvals count no more."""
    at = f"{runs_out_at(promotion, project):%Y-%m-%d %H:%M} UTC"
    text = (
        f"the approval for {promotion.revision} ran out at {at}; a new one is needed: "
        f"`reconciler promote {promotion.project}` asks for it"
    )
    return Reason(ReasonCode.APPROVAL_EXPIRED, text, promotion.deployment)
