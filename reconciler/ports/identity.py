"""Who vouches for people."""

from typing import Protocol

from reconciler.domain.openid import Flow


class IdentityProvider(Protocol):
    """An OpenID Connect provider."""

    @property
    def name(self) -> str:
        """How people know it: its host."""
        ...

    def address_to_ask(self, flow: Flow) -> str:
        """Return where the browser is sent to sign in. Raises ``ProviderFailed``."""
        ...

    def identify(self, flow: Flow, code: str) -> str:
        """Return whom the provider means by ``code``, as they are called here.

        Raises:
            ProviderFailed: it does not answer, or not as it should.
            IdentityRefused: what it says is for somebody else, old, or not signed by it.
        """
        ...
