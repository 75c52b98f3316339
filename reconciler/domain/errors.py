"""The expected failures, each with what has to happen before another try makes sense.

Whatever is not in this tree is a bug. ``code`` is stable: API, CLI, page and logs all show it.
A message names its subject and never holds a secret.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum


class Recovery(StrEnum):
    """What helps."""

    RETRY = "retry"  #: time: try again with backoff
    STALL = "stall"  #: a newer revision or declaration
    OPERATOR = "operator"  #: a person has to act


#: Of several failures the last of these decides.
_WORST_LAST = (Recovery.RETRY, Recovery.STALL, Recovery.OPERATOR)


class ReconcilerError(Exception):
    """An expected failure, with the evidence to act on it."""

    code: str = "internal-error"
    recovery: Recovery = Recovery.OPERATOR
    remedy: str = ""

    def __init__(self, message: str, **evidence: str) -> None:
        super().__init__(message)
        self.message = message
        #: What was seen: host, exit status, expected and observed. Never a secret.
        self.evidence: Mapping[str, str] = evidence


# ── What was asked for ────────────────────────────────────────────────────────────────────────


class InvalidInput(ReconcilerError):
    """A value from outside that we do not accept; names the field, the value and the remedy.

    ``problem`` goes on from the value; of one that is missing (None) there is nothing to show.
    """

    code = "invalid-input"

    def __init__(self, field: str, value: object, problem: str) -> None:
        cut = value[:77] + "…" if isinstance(value, str) and len(value) > 80 else value
        shown = "" if value is None else f"{cut!r} "
        super().__init__(f"{field}: {shown}{problem}", field=field)
        self.field = field
        self.problem = problem


class InvalidReference(InvalidInput):
    """Text that does not name what it should: a digest, commit, branch, image or URL."""

    code = "invalid-reference"
    recovery = Recovery.STALL


class SeveralInvalid(ReconcilerError):
    """More than one value from outside that we do not accept; ``problems`` has each of them."""

    code = "invalid-input"

    def __init__(self, problems: Sequence[InvalidInput]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


class InvalidComposeFile(ReconcilerError):
    """The compose file can't be used as it stands at this commit."""

    code = "invalid-compose-file"
    recovery = Recovery.STALL
    remedy = "correct the compose file and push again"


class InvalidManifest(ReconcilerError):
    """The manifest in the repository can't be used as it stands at this commit."""

    code = "invalid-manifest"
    recovery = Recovery.STALL
    remedy = "correct the manifest and push again"


class ManifestRefused(ReconcilerError):
    """The manifest in the repository says what is not its to say."""

    code = "manifest-refused"
    recovery = Recovery.STALL
    remedy = "take it out of the manifest and push again, or have the operator declare it"


class ConfigError(ReconcilerError):
    """The daemon's own configuration is wrong; ``problems`` lists every wrong key."""

    code = "invalid-configuration"
    remedy = (
        "correct the keys named and start again; `reconciler check-config` looks without starting"
    )

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFound(ReconcilerError):
    """No such project, deployment, secret or repository."""

    code = "not-found"


class AlreadyExists(ReconcilerError):
    """The name is taken."""

    code = "already-exists"
    remedy = "choose another name, or change the one that exists"

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or self.remedy


class Conflict(ReconcilerError):
    """The request does not fit the present state, e.g. removing what is being deployed."""

    code = "conflict"


class NothingToApprove(Conflict):
    """No migration of the project waits for a person."""

    code = "nothing-to-approve"


class RefusingToMigrate(Conflict):
    """The project's volumes are on a host that it would leave."""

    code = "refusing-to-migrate"

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"refusing to migrate: {message}")
        self.remedy = remedy


class Refused(ReconcilerError):
    """A deployment that was asked for and may not start; ``code`` is the reason's own."""

    def __init__(self, code: str, message: str, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.code = code


class TooBusy(ReconcilerError):
    """More is asked than can be done now; nothing of it was kept."""

    code = "too-busy"
    recovery = Recovery.RETRY
    remedy = "send it again in a moment"


class AccessDenied(ReconcilerError):
    """The caller may not do this."""

    code = "access-denied"


# ── Where revisions come from ─────────────────────────────────────────────────────────────────


class SourceError(ReconcilerError):
    """A git server or registry did not give what was asked."""

    code = "source-error"
    recovery = Recovery.RETRY


class SourceUnreachable(SourceError):
    """No answer in time, a refused connection, or a 5xx answer."""

    code = "source-unreachable"


class SourceThrottled(SourceError):
    """The server asks to be left alone for ``retry_after``."""

    code = "source-throttled"

    def __init__(self, message: str, retry_after: timedelta, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.retry_after = retry_after


class SourceDenied(SourceError):
    """Our credentials were refused, or some are needed and there are none."""

    code = "source-denied"
    recovery = Recovery.OPERATOR
    remedy = "store credentials that may read it: `reconciler secret set`"


class SourceProtocolError(SourceError):
    """An answer that is not one: HTML, cut short, too large, another content type."""

    code = "source-protocol-error"


class SourceRedirected(SourceError):
    """The server sends us to another host, where our credentials do not belong."""

    code = "source-redirected"
    recovery = Recovery.OPERATOR
    remedy = "if the repository moved, give the project its new URL"


class HostKeyMismatch(SourceError):
    """The SSH host key is not the pinned one."""

    code = "host-key-changed"
    recovery = Recovery.OPERATOR
    remedy = "find out why it changed before you pin the new one"


class RevisionNotFound(SourceError):
    """The branch, commit, file or image does not exist there."""

    code = "revision-not-found"
    recovery = Recovery.STALL


# ── While rolling out ─────────────────────────────────────────────────────────────────────────


class RolloutError(ReconcilerError):
    """A stage of a deployment did not do what it should."""

    code = "rollout-error"
    recovery = Recovery.STALL


class PreconditionFailed(RolloutError):
    """Something on this machine is missing: a tool, the engine, space, permission."""

    code = "precondition-failed"
    recovery = Recovery.OPERATOR


class TargetUnreachable(RolloutError):
    """The engine or host did not answer."""

    code = "target-unreachable"
    recovery = Recovery.RETRY


class PinnedHostAway(TargetUnreachable):
    """The host with the project's volumes did not answer; no other one takes its place."""

    code = "refusing-to-migrate"
    remedy = (
        "bring the host back, or leave its volumes behind: `reconciler project move NAME --to HOST`"
    )


class HostRefused(RolloutError):
    """The host answered, and does not let us in."""

    code = "host-refused"
    recovery = Recovery.OPERATOR
    remedy = "put our public key into its authorized_keys, or give the host another key"


class HostsFailed(RolloutError):
    """It failed on some of several hosts; what helps is what helps with the worst of them."""

    def __init__(self, errors: Mapping[str, ReconcilerError]) -> None:
        worst = max(errors.values(), key=lambda error: _WORST_LAST.index(error.recovery))
        text = "; ".join(f"{host}: {error.message}" for host, error in errors.items())
        super().__init__(text, **worst.evidence)
        self.code, self.recovery, self.remedy = worst.code, worst.recovery, worst.remedy


class HostKeyUnconfirmed(RolloutError):
    """Nobody has confirmed a key of the host yet, so that it could be anyone."""

    code = "host-key-unconfirmed"
    recovery = Recovery.OPERATOR

    def __init__(self, host: str, message: str) -> None:
        super().__init__(f"host {host}: {message}", host=host)
        self.remedy = f"`reconciler host trust {host}` shows its fingerprint, to be confirmed"


class NameTaken(RolloutError):
    """Something that is not ours runs under the project's name; it was left alone."""

    code = "name-taken"
    recovery = Recovery.OPERATOR
    remedy = (
        "choose another project name, or have ours take their place: "
        "`reconciler deploy NAME --force`"
    )


class WorkTreeDirty(RolloutError):
    """Tracked files of the project's work tree were changed by hand; nothing was overwritten."""

    code = "work-tree-dirty"
    recovery = Recovery.OPERATOR
    remedy = "commit the changes to the repository, or restore the files named"


class CommandFailed(RolloutError):
    """A command ended with another status than 0, or ran out of time."""

    code = "command-failed"


class MigrationFailed(RolloutError):
    """The app's migration ended otherwise than well; what ran goes on as it was."""

    code = "migration-failed"
    remedy = "mend the migration and push again"


class MigrationNotNow(RolloutError):
    """The app's migration ended well, and asks for another try later."""

    code = "migration-not-now"
    recovery = Recovery.RETRY


class MigrationNeedsApproval(RolloutError):
    """The app's migration found pending work that a person has to look at first."""

    code = "migration-needs-approval"
    recovery = Recovery.OPERATOR

    def __init__(self, message: str, project: str, deployment: int, **evidence: str) -> None:
        super().__init__(message, **evidence)
        # By its number: what stops after it has to be looked at as well.
        command = f"reconciler approve {project} --deployment {deployment}"
        self.remedy = f"look at what is pending, then `{command}`"


class MigrationUnfinished(RolloutError):
    """A migration began, and nobody saw its end: it is never begun again by itself."""

    code = "migration-unfinished"
    recovery = Recovery.OPERATOR

    def __init__(self, message: str, project: str, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.remedy = (
            f"look at the data that it works on, then `reconciler deploy {project}` begins it anew"
        )


class BuildFailed(RolloutError):
    """An image could not be built; what runs was left as it is."""

    code = "build-failed"
    remedy = "build it by hand at this commit, correct what fails, and push again"


class VerificationFailed(RolloutError):
    """What runs is not what was pinned, or is not healthy."""

    code = "verification-failed"


class NotWatched(VerificationFailed):
    """Nothing is known against it: it was not watched to the end, for another host's sake."""

    recovery = Recovery.RETRY


class Withdrawn(RolloutError):
    """A person took the deployment back before it changed anything."""

    code = "withdrawn"
    recovery = Recovery.OPERATOR


class Interrupted(RolloutError):
    """The daemon is shutting down, or another worker took the deployment over."""

    code = "interrupted"
    recovery = Recovery.RETRY


class HandedOver(Interrupted):
    """Something that outlives this process goes on with it, and a later process takes it up."""


# ── What we remember ──────────────────────────────────────────────────────────────────────────


class StoreError(ReconcilerError):
    """The database is locked, full or gone; whatever was under way is abandoned whole."""

    code = "store-unavailable"
    recovery = Recovery.RETRY


class StoreCorrupt(StoreError):
    """The database is missing where there should be one, damaged, or of a newer version."""

    code = "store-corrupt"
    recovery = Recovery.OPERATOR
    remedy = "restore a backup with `reconciler restore`"


class ClaimLost(StoreError):
    """Another worker holds this deployment now; nothing more may be written for it."""

    code = "claim-lost"
