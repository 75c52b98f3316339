"""What a worker finds of an earlier one that died with the deployment in its hands."""

from reconciler.domain.deployment import Deployment, Stage
from reconciler.domain.errors import Recovery, TargetUnreachable, VerificationFailed
from reconciler.domain.failure import Failure
from reconciler.ports import Claim

#: Stage outcomes that are not why a deployment failed; empty: its worker died in it.
_NO_FAILURE = frozenset({"", "ok", "interrupted"})


def find_too_many_deaths(claim: Claim, most: int) -> Failure | None:
    """Return what to tell a person, where more than ``most`` workers died of the deployment."""
    resumptions = claim.fence - claim.deployment.attempt
    if not claim.resumed or resumptions <= most:
        return None
    text = f"the daemon ended {resumptions} times in stage {claim.deployment.stage} of it"
    remedy = "look at what runs and at the log, then deploy again"
    return Failure("interrupted-too-often", text, Recovery.OPERATOR, remedy)


def recorded_failure(deployment: Deployment) -> Failure:
    """Return what an earlier worker found before it died rolling back."""
    codes = [
        record.outcome
        for record in deployment.stages
        if record.stage is not Stage.ROLL_BACK and record.outcome not in _NO_FAILURE
    ]
    code = codes[-1] if codes else VerificationFailed.code
    recovery = Recovery.RETRY if code == TargetUnreachable.code else Recovery.STALL
    return Failure(code, f"failed ({code}); see the log", recovery)
