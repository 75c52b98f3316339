"""How a reason is shown: its shape and colour by its code, and what of our pages helps."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.domain.reason_codes import ReasonCode, ReasonKind
from reconciler.domain.references import ProjectName
from reconciler.pipeline.reasons import ExplainedReason
from reconciler.web.principal import Policy


@dataclass(frozen=True, slots=True)
class Look:
    """Shape and colour."""

    icon: str  #: of the sprite, without ``i-``
    colour: str  #: class of the stylesheet


@dataclass(frozen=True, slots=True)
class Act:
    """A page that helps."""

    words: str  #: of its link; with … where it asks first
    address: str
    policy: str  #: what it takes, on the project; empty for what anybody may who reads it
    everywhere: bool = False  #: whether that has to hold on the whole daemon

    @property
    def asks_first(self) -> bool:
        """Whether it opens as a dialog."""
        return self.words.endswith("…")


_OF_KIND = {
    ReasonKind.STOPS: Look("warn", "hold"),
    ReasonKind.UNDER_WAY: Look("run", "run"),
    ReasonKind.HAPPENED: Look("check", "off"),
    ReasonKind.SEEN: Look("check", "off"),
}
_OF_CODE: Mapping[str, Look] = {
    ReasonCode.EMERGENCY_FILE: Look("power", "hold"),
    ReasonCode.MASTER_SWITCH_OFF: Look("power", "hold"),
    ReasonCode.AUTO_DEPLOY_OFF: Look("off", "off"),
    ReasonCode.NOTHING_TO_DEPLOY: Look("skip", "off"),
    ReasonCode.FROZEN: Look("hold", "hold"),
    ReasonCode.WINDOW_CLOSED: Look("calendar", "hold"),
    ReasonCode.SOAKING: Look("queue", "hold"),
    ReasonCode.IMAGE_TOO_YOUNG: Look("queue", "hold"),
    ReasonCode.APPROVAL_MISSING: Look("person", "hold"),
    ReasonCode.APPROVAL_EXPIRED: Look("person", "hold"),
    ReasonCode.PROMOTION_REJECTED: Look("person", "hold"),
    ReasonCode.MIGRATION_NEEDS_APPROVAL: Look("person", "fail"),
    ReasonCode.MIGRATION_UNFINISHED: Look("person", "fail"),
    ReasonCode.NEEDS_OPERATOR: Look("person", "fail"),
    ReasonCode.DEPLOYMENT_FAILED: Look("fail", "fail"),
    ReasonCode.ROLLBACK_FAILED: Look("fail", "fail"),
    ReasonCode.QUARANTINED: Look("quar", "back"),
    ReasonCode.ROLLED_BACK: Look("back", "back"),
    ReasonCode.BRANCH_GONE: Look("branch", "fail"),
    ReasonCode.TARGET_UNREACHABLE: Look("host", "hold"),
    ReasonCode.HOST_REFUSED: Look("host", "fail"),
    ReasonCode.HOST_KEY_CHANGED: Look("lock", "fail"),
    ReasonCode.HOST_KEY_UNCONFIRMED: Look("lock", "hold"),
    ReasonCode.HOST_PINNED: Look("host", "hold"),
    ReasonCode.QUEUED_BEHIND: Look("queue", "off"),
    ReasonCode.NO_FREE_PLACE: Look("queue", "off"),
    ReasonCode.BACKOFF: Look("queue", "hold"),
    ReasonCode.QUEUED: Look("queue", "off"),
    ReasonCode.DRIFT: Look("drift", "hold"),
    ReasonCode.LIVE: Look("ok", "ok"),
    ReasonCode.COMMIT_MOVED: Look("commit", "off"),
    ReasonCode.FIRST_ALIGNMENT: Look("commit", "off"),
    ReasonCode.SOURCE_OBSERVED: Look("branch", "off"),
    ReasonCode.PATH_UNTOUCHED: Look("skip", "off"),
    ReasonCode.SKIP_MARKER: Look("skip", "off"),
    ReasonCode.SUPERSEDED: Look("skip", "off"),
    ReasonCode.WITHDRAWN: Look("x", "off"),
    ReasonCode.ASKED_BY_PERSON: Look("person", "off"),
    ReasonCode.IMAGE_MOVED: Look("image", "off"),
    ReasonCode.IMAGE_NEW: Look("image", "off"),
    ReasonCode.IMAGES_SEEDED: Look("image", "off"),
    ReasonCode.IMAGE_OBSERVED: Look("image", "off"),
    ReasonCode.IMAGE_EXACT: Look("image", "off"),
    ReasonCode.IMAGE_STATEFUL: Look("lock", "off"),
    ReasonCode.IMAGE_LABELLED: Look("lock", "off"),
    ReasonCode.IMAGE_UNWATCHED: Look("blind", "off"),
    ReasonCode.WEBHOOK_MISSING: Look("warn", "hold"),
    ReasonCode.STATUS_UNTOLD: Look("warn", "hold"),
}


def look_of(one: ExplainedReason) -> Look:
    """Return how it is shown; an error's own code as what stops it."""
    return _OF_CODE.get(one.code, _OF_KIND[one.kind])


_ACTS: Mapping[str, Act] = {
    ReasonCode.MASTER_SWITCH_OFF: Act("Switch on…", "/switch", Policy.TRIGGER, everywhere=True),
    ReasonCode.AUTO_DEPLOY_OFF: Act("Switch auto-deploy on…", "{}/auto", Policy.CONFIG),
    ReasonCode.FROZEN: Act("Resume…", "{}/pause", Policy.TRIGGER),
    ReasonCode.QUARANTINED: Act("Lift the quarantine…", "{}/quarantine", Policy.TRIGGER),
    ReasonCode.APPROVAL_MISSING: Act("Approve…", "{}/approve", Policy.TRIGGER),
    ReasonCode.APPROVAL_EXPIRED: Act("Promote…", "{}/promote", Policy.TRIGGER),
    ReasonCode.MIGRATION_NEEDS_APPROVAL: Act("Approve…", "{}/approve", Policy.TRIGGER),
    ReasonCode.EXPOSE_MISSING: Act("Set them", "{}/settings", Policy.CONFIG),
    ReasonCode.TARGET_MISSING: Act("Give it one", "{}/settings#targets", Policy.CONFIG),
    ReasonCode.SOURCE_DENIED: Act("Replace the credential", "{}/settings#secrets", Policy.SECRETS),
    ReasonCode.IMAGE_UNWATCHED: Act("Set the variable…", "{}/settings/new-secret", Policy.SECRETS),
    ReasonCode.WEBHOOK_MISSING: Act("What arrived", "{}/deliveries", Policy.READ),
    ReasonCode.DRIFT: Act("Put it back…", "{}/rollback?to={deployment}", Policy.TRIGGER),
}
_OF_HOSTS = frozenset(
    {
        ReasonCode.TARGET_UNREACHABLE,
        ReasonCode.HOST_REFUSED,
        ReasonCode.HOST_KEY_CHANGED,
        ReasonCode.HOST_KEY_UNCONFIRMED,
    }
)
_OF_REGISTRIES = frozenset({ReasonCode.REGISTRY_COOLED, ReasonCode.REGISTRY_UNREACHABLE})


def act_of(project: ProjectName, one: ExplainedReason) -> Act | None:
    """Return the page that helps; None: none of ours does."""
    if one.code in _OF_HOSTS and (host := one.evidence.get("host")):
        return Act("See the host", f"/hosts/{host}", Policy.READ, everywhere=True)
    if one.code in _OF_REGISTRIES and (host := one.evidence.get("registry")):
        return Act("See the registry", f"/registries/{host}", Policy.READ, everywhere=True)
    act = _ACTS.get(one.code)
    if act is None:
        return None
    number = one.evidence.get("deployment", "")
    address = act.address.format(f"/projects/{project}", deployment=number)
    return Act(act.words, address, act.policy, act.everywhere)
