"""The vocabulary of states: each is a shape, a word and a colour, everywhere.

Filled shapes are for what should catch the eye, outlines for what should not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.domain.deployment import Deployment, Stage, Status, TargetStatus, Trigger
from reconciler.domain.reason_codes import ReasonCode
from reconciler.pipeline.explain import StandingCode


class Group(StrEnum):
    """What a state asks of a person; in the order of the overview."""

    NEEDS_YOU = "needs-you"
    UNDER_WAY = "under-way"
    WAITING = "waiting"
    IN_SYNC = "in-sync"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Badge:
    """How a state is shown."""

    word: str
    icon: str  #: of the sprite, without ``i-``
    colour: str  #: class of the stylesheet: ok, run, hold, fail, back or off

    @property
    def tinted(self) -> bool:
        """Whether it stands out: good is quiet."""
        return self.colour not in {"ok", "off"}


DEPLOYING = Badge("Deploying", "run", "run")
FAILED = Badge("Failed", "fail", "fail")
ROLLED_BACK = Badge("Rolled back", "back", "back")
ROLL_BACK_FAILED = Badge("Roll-back failed", "fail", "fail")
#: How what was read back compares with what was asked for, or ran before.
MATCH = Badge("match", "ok", "ok")
AS_BEFORE = Badge("as before", "ok", "ok")
LEFT_ALONE = Badge("left alone", "skip", "off")
DIFFERS = Badge("differs", "fail", "fail")


@dataclass(frozen=True, slots=True)
class Heading:
    """How a group is headed, and what it means."""

    title: str
    hint: str
    icon: str
    colour: str
    one: str  #: of a project in it: ``is held``


OF_GROUP: Mapping[Group, Heading] = {
    Group.NEEDS_YOU: Heading(
        "Needs you",
        "A person has to decide. Nothing here mends itself.",
        "fail",
        "fail",
        "needs a person",
    ),
    Group.UNDER_WAY: Heading(
        "Under way", "Elapsed, and how long it usually takes.", "run", "run", "is under way"
    ),
    Group.WAITING: Heading(
        "Waiting",
        "Something newer is known and something stands in its way.",
        "hold",
        "hold",
        "is held",
    ),
    Group.IN_SYNC: Heading("In sync", "What should run, runs.", "ok", "ok", "is in sync"),
    Group.OFF: Heading("Off", "Looked at, never deployed by itself.", "off", "off", "is off"),
}
#: Where a project stands → how that is shown.
OF_STANDING: Mapping[StandingCode, Badge] = {
    StandingCode.DEPLOYING: DEPLOYING,
    StandingCode.FAILED: FAILED,
    StandingCode.UNKNOWN: Badge("Unknown", "unknown", "off"),
    StandingCode.DRIFTED: Badge("Drifted", "drift", "hold"),
    StandingCode.QUARANTINED: Badge("Quarantined", "quar", "back"),
    StandingCode.QUEUED: Badge("Queued", "queue", "off"),
    StandingCode.HELD: Badge("Held", "hold", "hold"),
    StandingCode.NEEDS_APPROVAL: Badge("Held", "hold", "hold"),
    StandingCode.BRANCH_GONE: Badge("Held", "hold", "hold"),
    StandingCode.OFF: Badge("Off", "off", "off"),
    StandingCode.NEVER_DEPLOYED: Badge("Never deployed", "new", "off"),
    StandingCode.IN_SYNC: Badge("In sync", "ok", "ok"),
    StandingCode.NOTHING_TO_DEPLOY: Badge("Not deployable", "skip", "off"),
}
GROUP_OF: Mapping[StandingCode, Group] = {
    StandingCode.DEPLOYING: Group.UNDER_WAY,
    StandingCode.QUEUED: Group.UNDER_WAY,
    StandingCode.FAILED: Group.NEEDS_YOU,
    StandingCode.UNKNOWN: Group.NEEDS_YOU,
    StandingCode.DRIFTED: Group.NEEDS_YOU,
    StandingCode.QUARANTINED: Group.NEEDS_YOU,
    StandingCode.BRANCH_GONE: Group.NEEDS_YOU,
    StandingCode.HELD: Group.WAITING,
    StandingCode.NEEDS_APPROVAL: Group.WAITING,
    StandingCode.IN_SYNC: Group.IN_SYNC,
    StandingCode.OFF: Group.OFF,
    StandingCode.NEVER_DEPLOYED: Group.OFF,
    StandingCode.NOTHING_TO_DEPLOY: Group.OFF,
}
#: How a deployment ended, or stands → the badges that say it, side by side.
OF_STATUS: Mapping[Status, tuple[Badge, ...]] = {
    Status.QUEUED: (Badge("Queued", "queue", "off"),),
    Status.RUNNING: (DEPLOYING,),
    Status.DEPLOYED: (Badge("Verified", "ok", "ok"),),
    Status.ROLLED_BACK: (FAILED, ROLLED_BACK),
    Status.FAILED: (FAILED,),
    Status.NEEDS_OPERATOR: (Badge("Needs a person", "person", "fail"),),
    Status.SUPERSEDED: (Badge("Superseded", "skip", "off"),),
    Status.WITHDRAWN: (Badge("Cancelled", "x", "off"),),
}
#: How a delivery was taken.
ACCEPTED = Badge("Accepted", "ok", "ok")
IGNORED = Badge("Ignored", "skip", "off")
REFUSED_DELIVERY = Badge("Refused", "off", "hold")
SEEN_BEFORE = Badge("Seen before", "skip", "off")

#: How far a deployment got on one host → the badge that says it.
OF_TARGET: Mapping[TargetStatus, Badge] = {
    TargetStatus.WAITING: Badge("Waiting", "todo", "off"),
    TargetStatus.UNREACHABLE: Badge("Out of reach", "unknown", "off"),
    TargetStatus.APPLIED: Badge("Not verified yet", "run", "run"),
    TargetStatus.VERIFIED: Badge("Verified", "ok", "ok"),
    TargetStatus.FAILED: FAILED,
    TargetStatus.ROLLED_BACK: ROLLED_BACK,
}
STAGES: Mapping[Stage, str] = {
    Stage.PREPARE: "Prepare",
    Stage.BUILD: "Build",
    Stage.GATE: "Gate",
    Stage.MIGRATE: "Migrate",
    Stage.APPLY: "Apply",
    Stage.VERIFY: "Verify",
    Stage.ROLL_BACK: "Roll back",
}
#: What can have noticed that there is something to deploy.
TRIGGERS: Mapping[Trigger, str] = {
    Trigger.GIT_POLL: "a look at the source",
    Trigger.PUSH: "a push to here",
    Trigger.WEBHOOK: "a webhook",
    Trigger.IMAGE_WATCH: "an image that moved",
    Trigger.REGISTRY_EVENT: "a registry's webhook",
    Trigger.PERSON: "a person",
    Trigger.ROLLBACK: "a person who went back",
    Trigger.PROMOTION: "a promotion",
    Trigger.DRIFT: "a drift that was put back",
}
#: The same in a sentence of one deployment, with the name of who or what it was.
ASKED_BY: Mapping[Trigger, str] = {
    Trigger.GIT_POLL: "noticed by a look",
    Trigger.PUSH: "pushed here",
    Trigger.WEBHOOK: "noticed by the webhook {}",
    Trigger.IMAGE_WATCH: "an image moved",
    Trigger.REGISTRY_EVENT: "the webhook {} told of an image",
    Trigger.PERSON: "asked for by {}",
    Trigger.ROLLBACK: "{} went back",
    Trigger.PROMOTION: "by itself",
    Trigger.DRIFT: "put back by itself",
}


def badges_of(deployment: Deployment) -> tuple[Badge, ...]:
    """Return how a deployment stands, side by side; a way back that failed is said, too."""
    error = deployment.error
    if error is not None and error.code == ReasonCode.ROLLBACK_FAILED:
        return FAILED, ROLL_BACK_FAILED
    return OF_STATUS[deployment.status]


#: How a host or a cluster stands.
ONLINE = Badge("Online", "ok", "ok")
OFFLINE = Badge("Offline", "warn", "hold")
DISK_LOW = Badge("Disk low", "warn", "hold")
KEY_CHANGED = Badge("Key changed", "lock", "fail")
NOT_LET_IN = Badge("Refused", "lock", "hold")
NOT_SET_UP = Badge("Not set up", "todo", "off")
NOT_ASKED = Badge("Not asked yet", "unknown", "off")
#: Whether a registry answers.
ANSWERS = Badge("Yes", "ok", "ok")
SILENT = Badge("No", "warn", "hold")
COOLING = Badge("Cooling", "queue", "hold")
CREDENTIAL_REFUSED = Badge("Refused", "lock", "hold")
