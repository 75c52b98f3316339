"""What was asked for, and can't be."""

import math
from collections.abc import Sequence
from datetime import timedelta

from reconciler.domain.errors.base import ReconcilerError, Recovery


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
    remedy = "correct the compose file"


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


class ChangedMeanwhile(Conflict):
    """What is to be changed is not what the change was meant for."""

    code = "changed-meanwhile"
    remedy = "look at it again, and repeat the change if it still makes sense"

    def __init__(self) -> None:
        super().__init__("somebody changed it meanwhile")


class LastAdmin(Conflict):
    """Nobody would be left who may do everything."""

    code = "last-admin"
    remedy = "make somebody else an admin first: `reconciler person role NAME admin`"


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


class DigestUnknown(Conflict):
    """A registry answered, and has no such digest."""

    code = "digest-unknown"
    remedy = "push the image to its registry first, then report the release again"

    def __init__(self, image: str, digest: str, registry: str) -> None:
        text = f"images: {registry} has no {digest} of {image}"
        super().__init__(text, field="images", image=image, digest=digest, registry=registry)


class TookTooLong(ReconcilerError):
    """It was not known in time."""

    code = "took-too-long"
    recovery = Recovery.RETRY
    remedy = "ask again in a moment"


class AccessDenied(ReconcilerError):
    """The caller may not do this."""

    code = "access-denied"


class SignInFailed(AccessDenied):
    """Name and password do not fit; which of them, or why else, is not told."""

    code = "sign-in-failed"

    def __init__(self) -> None:
        super().__init__("that name and password do not fit")


class SetUpOver(AccessDenied):
    """The token makes nobody an admin: it never did, or does no longer."""

    code = "set-up-over"
    remedy = "while there is no admin, `reconciler set-up-token` on its machine makes another"

    def __init__(self) -> None:
        super().__init__("token: is unknown, was used, or is older than 30 minutes", field="token")


class ForeignRequest(AccessDenied):
    """A browser sends it in somebody's name, and it does not come from a page of ours."""

    code = "foreign-request"
    remedy = "open the page at the daemon's own address; a proxy before it has to be declared"


class TooManyTries(ReconcilerError):
    """Wrong passwords came too often from there; nobody else has to wait."""

    code = "too-many-tries"
    recovery = Recovery.RETRY

    def __init__(self, wait: timedelta) -> None:
        self.wait_seconds = max(math.ceil(wait.total_seconds()), 1)
        unit = "second" if self.wait_seconds == 1 else "seconds"
        super().__init__(f"too many tries: wait {self.wait_seconds} {unit}, then try again")
