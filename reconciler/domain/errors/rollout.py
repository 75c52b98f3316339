"""While rolling out."""

from collections.abc import Mapping

from reconciler.domain.errors.base import WORST_LAST, ReconcilerError, Recovery


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
        worst = max(errors.values(), key=lambda error: WORST_LAST.index(error.recovery))
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


class NotHandedOn(RolloutError):
    """The environment before did not hand on what is needed, and nothing takes its place."""

    code = "not-handed-on"
    recovery = Recovery.OPERATOR

    def __init__(self, message: str, remedy: str, **evidence: str) -> None:
        super().__init__(message, **evidence)
        self.remedy = remedy


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


class WorkloadFailed(RolloutError):
    """A workload's new pods don't come up; the message names what the cluster says of them."""

    code = "workload-failed"


class NoRoom(RolloutError):
    """The cluster has no room for a workload's new pods now: a quota, or no node that fits."""

    code = "no-room-in-cluster"
    recovery = Recovery.RETRY


class WorkloadChanged(RolloutError):
    """Somebody else changed a workload while its roll-out was followed."""

    code = "workload-changed"
    recovery = Recovery.OPERATOR
    remedy = "find out who did, then `reconciler deploy NAME --force` sets the images anew"


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
