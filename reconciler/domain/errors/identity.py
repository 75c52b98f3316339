"""People whom a proxy or a provider vouches for."""

from reconciler.domain.errors.asking import AccessDenied
from reconciler.domain.errors.base import ReconcilerError, Recovery


class ProviderFailed(ReconcilerError):
    """The OpenID Connect provider did not answer, or not as one does."""

    code = "identity-provider-failed"
    recovery = Recovery.RETRY
    remedy = "try again; the daemon's log and the provider's say more"


class IdentityRefused(AccessDenied):
    """What they say about a person is not taken, or nobody here is meant by it."""

    code = "identity-refused"
