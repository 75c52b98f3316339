"""Every code that answers 'why did it, why did it not?', in one table for API, CLI, page and docs.

A code is stable: it is never renamed, and never means anything else. Failures keep the codes of
their errors; those that keep a project from being deployed for long are in the table, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """Stable codes of answers to 'why did it, why did it not?'."""

    EMERGENCY_FILE = "emergency-file"
    MASTER_SWITCH_OFF = "master-switch-off"
    AUTO_DEPLOY_OFF = "auto-deploy-off"
    NOTHING_TO_DEPLOY = "nothing-to-deploy"
    TARGET_MISSING = "target-missing"
    EXPOSE_MISSING = "expose-missing"
    FROZEN = "frozen"
    WINDOW_CLOSED = "window-closed"
    NOT_VERIFIED_UPSTREAM = "not-verified-upstream"
    SOAKING = "soaking"
    IMAGE_TOO_YOUNG = "image-too-young"
    APPROVAL_MISSING = "approval-missing"
    APPROVAL_EXPIRED = "approval-expired"
    PROMOTION_REJECTED = "promotion-rejected"
    PROMOTED_ONLY = "promoted-only"
    NOT_HANDED_ON = "not-handed-on"
    QUARANTINED = "quarantined"
    MIGRATION_NEEDS_APPROVAL = "migration-needs-approval"
    MIGRATION_UNFINISHED = "migration-unfinished"
    WORK_TREE_DIRTY = "work-tree-dirty"
    REFUSING_TO_MIGRATE = "refusing-to-migrate"
    ROLLBACK_FAILED = "rollback-failed"
    NEEDS_OPERATOR = "needs-operator"
    DEPLOYMENT_FAILED = "deployment-failed"
    TARGET_UNREACHABLE = "target-unreachable"
    HOST_REFUSED = "host-refused"
    HOST_KEY_CHANGED = "host-key-changed"
    HOST_KEY_UNCONFIRMED = "host-key-unconfirmed"
    HOST_PINNED = "host-pinned"
    BRANCH_GONE = "branch-gone"
    SOURCE_UNREACHABLE = "source-unreachable"
    SOURCE_THROTTLED = "source-throttled"
    SOURCE_DENIED = "source-denied"
    SOURCE_REDIRECTED = "source-redirected"
    SOURCE_PROTOCOL_ERROR = "source-protocol-error"
    SOURCE_ERROR = "source-error"
    REVISION_NOT_FOUND = "revision-not-found"
    INVALID_COMPOSE_FILE = "invalid-compose-file"
    PATH_UNTOUCHED = "path-untouched"
    SKIP_MARKER = "skip-marker"
    DECLARATION_CHANGED = "declaration-changed"
    BACKOFF = "backoff"
    QUEUED_BEHIND = "queued-behind"
    NO_FREE_PLACE = "no-free-place"
    REGISTRY_COOLED = "registry-cooled"
    REGISTRY_UNREACHABLE = "registry-unreachable"
    LOOKUP_FAILED = "lookup-failed"

    RUNNING = "running"
    QUEUED = "queued"

    DRIFT = "drift"
    ROLLED_BACK = "rolled-back"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    COMMIT_MOVED = "commit-moved"
    IMAGE_MOVED = "image-moved"
    FIRST_ALIGNMENT = "first-alignment"
    ASKED_BY_PERSON = "asked-by-person"
    COALESCED = "coalesced"
    RESTART_RECOVERED = "restart-recovered"
    MIGRATION = "migration"
    MANIFEST_IGNORED = "manifest-ignored"
    LIVE = "live"
    REQUEST_HELD = "request-held"
    REQUEST_REFUSED = "request-refused"
    ADMITTED = "admitted"
    REPLACED_QUEUED = "replaced-queued"
    ALREADY_QUEUED = "already-queued"
    ALREADY_RUNNING = "already-running"
    ALREADY_LIVE = "already-live"
    NOTHING_TO_RESTORE = "nothing-to-restore"
    PLAN_OUTDATED = "plan-outdated"

    SOURCE_OBSERVED = "source-observed"
    NEXT_LOOK = "next-look"
    WEBHOOK_MISSING = "webhook-missing"
    STATUS_UNTOLD = "status-untold"
    IMAGES_SEEDED = "images-seeded"
    IMAGE_NEW = "image-new"
    IMAGE_OBSERVED = "image-observed"
    IMAGE_UNWATCHED = "image-unwatched"
    IMAGE_STATEFUL = "image-stateful"
    IMAGE_LABELLED = "image-labelled"
    IMAGE_EXACT = "image-exact"
    NEXT_IMAGE_LOOK = "next-image-look"
    NOTHING_YET = "nothing-yet"


class ReasonKind(StrEnum):
    """Where a reason stands in an answer; the first kind comes first."""

    STOPS = "stops"  #: what keeps it from being deployed now
    UNDER_WAY = "under-way"  #: what goes on
    HAPPENED = "happened"  #: what happened last
    SEEN = "seen"  #: what was seen, and when the next look is


class About(StrEnum):
    """What a reason answers."""

    DID = "did"  #: why it did
    DID_NOT = "did-not"  #: why it did not
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class ReasonMeaning:
    """What a code means, whoever it is said of."""

    code: ReasonCode
    kind: ReasonKind
    about: About
    text: str
    needs_person: bool = False  #: whether it stays so until a person acts


def _meanings(
    kind: ReasonKind, rows: Mapping[ReasonCode, tuple[About, str]], person: frozenset[ReasonCode]
) -> dict[ReasonCode, ReasonMeaning]:
    return {
        code: ReasonMeaning(code, kind, about, text, code in person)
        for code, (about, text) in rows.items()
    }


_DID, _DID_NOT, _INFORMATION = About.DID, About.DID_NOT, About.INFORMATION

_STOPS = {
    ReasonCode.EMERGENCY_FILE: "The emergency file is there: nothing deploys by itself.",
    ReasonCode.MASTER_SWITCH_OFF: "The master switch is off: nothing deploys by itself.",
    ReasonCode.AUTO_DEPLOY_OFF: "The project's own auto-deploy is off.",
    ReasonCode.NOTHING_TO_DEPLOY: "A project of this kind has nothing to deploy.",
    ReasonCode.TARGET_MISSING: "The project has no host to run on.",
    ReasonCode.EXPOSE_MISSING: "The service that users reach, or its port, is not set.",
    ReasonCode.FROZEN: "A person said that the project stays as it is.",
    ReasonCode.WINDOW_CLOSED: "None of the project's deploy windows is open.",
    ReasonCode.NOT_VERIFIED_UPSTREAM: "The environment before has not verified the revision.",
    ReasonCode.SOAKING: "It has not stood long enough in the environment before.",
    ReasonCode.IMAGE_TOO_YOUNG: "An image was first seen too short a time ago.",
    ReasonCode.APPROVAL_MISSING: "More people have to approve the promotion.",
    ReasonCode.APPROVAL_EXPIRED: "Nobody decided in time; the revision may be proposed anew.",
    ReasonCode.PROMOTION_REJECTED: "A person rejected this revision; another one asks anew.",
    ReasonCode.PROMOTED_ONLY: "It gets what the environment before verified, and nothing else.",
    ReasonCode.NOT_HANDED_ON: "The environment before did not hand on all that it needs.",
    ReasonCode.QUARANTINED: "This revision failed before; a newer one deploys by itself.",
    ReasonCode.MIGRATION_NEEDS_APPROVAL: "The migration has pending work that a person approves.",
    ReasonCode.MIGRATION_UNFINISHED: "A migration began and nobody saw its end.",
    ReasonCode.WORK_TREE_DIRTY: "Files of the work tree were changed by hand.",
    ReasonCode.REFUSING_TO_MIGRATE: "The host with its volumes is away; no other takes its place.",
    ReasonCode.ROLLBACK_FAILED: "It failed, and going back failed too.",
    ReasonCode.NEEDS_OPERATOR: "The newest deployment stopped for a person to look at.",
    ReasonCode.DEPLOYMENT_FAILED: "The newest deployment failed.",
    ReasonCode.TARGET_UNREACHABLE: "A host, or its engine, does not answer.",
    ReasonCode.HOST_REFUSED: "A host answers and does not let us in.",
    ReasonCode.HOST_KEY_CHANGED: "A host or git server shows another key than the pinned one.",
    ReasonCode.HOST_KEY_UNCONFIRMED: "Nobody confirmed the key of a host yet.",
    ReasonCode.HOST_PINNED: "Its volumes are on a host that can't be used now.",
    ReasonCode.BRANCH_GONE: "The source answers, and the branch is not there.",
    ReasonCode.SOURCE_UNREACHABLE: "The source did not answer.",
    ReasonCode.SOURCE_THROTTLED: "The source asked to be left alone for a while.",
    ReasonCode.SOURCE_DENIED: "The source refused the credentials, or wants some.",
    ReasonCode.SOURCE_REDIRECTED: "The source sends to another host, where no credentials go.",
    ReasonCode.SOURCE_PROTOCOL_ERROR: "The source gave an answer that is none.",
    ReasonCode.SOURCE_ERROR: "The source did not give what was asked.",
    ReasonCode.REVISION_NOT_FOUND: "The source does not have what was asked for.",
    ReasonCode.INVALID_COMPOSE_FILE: "A compose file in a followed folder can't be read as one.",
    ReasonCode.PATH_UNTOUCHED: "The branch moved, and changed none of the watched paths.",
    ReasonCode.SKIP_MARKER: "The newest commit says that it is not to be deployed.",
    ReasonCode.DECLARATION_CHANGED: "What runs is from before the last change of its declaration.",
    ReasonCode.BACKOFF: "An attempt failed for a passing reason; the next waits for its time.",
    ReasonCode.QUEUED_BEHIND: "It waits for another deployment of the project.",
    ReasonCode.NO_FREE_PLACE: "As many deployments run as may at once.",
    ReasonCode.REGISTRY_COOLED: "A registry asked to be left alone; the last digests stay.",
    ReasonCode.REGISTRY_UNREACHABLE: "The registry does not answer; its images are not watched.",
    ReasonCode.LOOKUP_FAILED: "An image could not be looked up; its last digest stays.",
}
_UNDER_WAY = {
    ReasonCode.RUNNING: (_DID, "A deployment is being carried out."),
    ReasonCode.QUEUED: (_INFORMATION, "A deployment waits for its start."),
}
_HAPPENED = {
    ReasonCode.DRIFT: (_INFORMATION, "What runs is not what was deployed: somebody changed it."),
    ReasonCode.ROLLED_BACK: (_DID_NOT, "The newest deployment failed, and was rolled back."),
    ReasonCode.WITHDRAWN: (_DID_NOT, "The newest deployment was stopped before it began."),
    ReasonCode.SUPERSEDED: (_DID_NOT, "A newer revision took its place before it began."),
    ReasonCode.COMMIT_MOVED: (_DID, "The branch moved to another commit."),
    ReasonCode.IMAGE_MOVED: (_DID, "The digest behind an image's tag moved."),
    ReasonCode.FIRST_ALIGNMENT: (_DID, "Nothing was followed before: the branch's tip is it."),
    ReasonCode.ASKED_BY_PERSON: (_DID, "A person asked for it."),
    ReasonCode.COALESCED: (_DID, "Several requests became one deployment."),
    ReasonCode.RESTART_RECOVERED: (_INFORMATION, "The daemon ended in the middle, and went on."),
    ReasonCode.MIGRATION: (_INFORMATION, "How far the app's migration got on a host."),
    ReasonCode.MANIFEST_IGNORED: (_INFORMATION, "The repository's manifest was not allowed."),
    ReasonCode.LIVE: (_INFORMATION, "What runs, and since when it is verified."),
    ReasonCode.REQUEST_HELD: (_DID_NOT, "A request was held; the next look asks again."),
    ReasonCode.REQUEST_REFUSED: (_DID_NOT, "A request was refused; no deployment serves it."),
    ReasonCode.ADMITTED: (_DID, "A request became a new deployment."),
    ReasonCode.REPLACED_QUEUED: (_DID, "A request took the place of one that waited."),
    ReasonCode.ALREADY_QUEUED: (_INFORMATION, "A deployment that waits serves the request."),
    ReasonCode.ALREADY_RUNNING: (_INFORMATION, "A deployment under way serves the request."),
    ReasonCode.ALREADY_LIVE: (_DID_NOT, "What was asked for runs already."),
    ReasonCode.NOTHING_TO_RESTORE: (_DID_NOT, "No earlier verified revision is kept."),
    ReasonCode.PLAN_OUTDATED: (_DID_NOT, "Something moved since the plan was read."),
}
_SEEN = {
    ReasonCode.SOURCE_OBSERVED: "What the last good look at the source saw.",
    ReasonCode.NEXT_LOOK: "When the source is looked at again.",
    ReasonCode.WEBHOOK_MISSING: "Pushes came without a delivery of the webhook; looks found them.",
    ReasonCode.STATUS_UNTOLD: "The forge was not told how a commit fares; why not.",
    ReasonCode.IMAGES_SEEDED: "First look: digests were noted, and nothing was deployed for them.",
    ReasonCode.IMAGE_NEW: "An image is new in the compose file; its digest was only noted.",
    ReasonCode.IMAGE_OBSERVED: "What the last good look at an image saw.",
    ReasonCode.IMAGE_UNWATCHED: "An image can't be followed as the compose file names it.",
    ReasonCode.IMAGE_STATEFUL: "An image belongs to a stateful service and is left alone.",
    ReasonCode.IMAGE_LABELLED: "A label of its service says that an image is to be left alone.",
    ReasonCode.IMAGE_EXACT: "An image is pinned by digest or built here: no tag to watch.",
    ReasonCode.NEXT_IMAGE_LOOK: "When the images are looked at again.",
    ReasonCode.NOTHING_YET: "Nothing was seen or asked for yet.",
}
_FOR_A_PERSON = frozenset(
    {
        ReasonCode.EMERGENCY_FILE,
        ReasonCode.MASTER_SWITCH_OFF,
        ReasonCode.AUTO_DEPLOY_OFF,
        ReasonCode.TARGET_MISSING,
        ReasonCode.EXPOSE_MISSING,
        ReasonCode.FROZEN,
        ReasonCode.INVALID_COMPOSE_FILE,
        ReasonCode.APPROVAL_MISSING,
        ReasonCode.APPROVAL_EXPIRED,
        ReasonCode.MIGRATION_NEEDS_APPROVAL,
        ReasonCode.MIGRATION_UNFINISHED,
        ReasonCode.WORK_TREE_DIRTY,
        ReasonCode.ROLLBACK_FAILED,
        ReasonCode.NEEDS_OPERATOR,
        ReasonCode.HOST_REFUSED,
        ReasonCode.HOST_KEY_CHANGED,
        ReasonCode.HOST_KEY_UNCONFIRMED,
        ReasonCode.BRANCH_GONE,
        ReasonCode.SOURCE_DENIED,
        ReasonCode.SOURCE_REDIRECTED,
        ReasonCode.DECLARATION_CHANGED,
    }
)

#: Every code, in the order in which an answer gives its reasons.
REASONS: Mapping[ReasonCode, ReasonMeaning] = {
    **_meanings(
        ReasonKind.STOPS, {code: (_DID_NOT, text) for code, text in _STOPS.items()}, _FOR_A_PERSON
    ),
    **_meanings(ReasonKind.UNDER_WAY, _UNDER_WAY, frozenset()),
    **_meanings(ReasonKind.HAPPENED, _HAPPENED, frozenset()),
    **_meanings(
        ReasonKind.SEEN, {code: (_INFORMATION, text) for code, text in _SEEN.items()}, frozenset()
    ),
}
