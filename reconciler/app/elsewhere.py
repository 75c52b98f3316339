"""Signing in elsewhere, as the configuration has it."""

from dataclasses import dataclass

from reconciler.adapters.openid.provider import Client, OpenIdProvider
from reconciler.config import Config
from reconciler.domain.access import Role
from reconciler.pipeline.people.sign_in import SignIn
from reconciler.pipeline.people.vouched import ProviderSignIn, Vouched
from reconciler.ports import Clock, Store

CALLBACK = "/sign-in/oidc/callback"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who else says who somebody is."""

    vouched: Vouched
    proxy_role: Role | None  #: of people whom a proxy names for the first time
    provider: ProviderSignIn | None


def elsewhere_of(config: Config, store: Store, clock: Clock, sign_in: SignIn) -> Elsewhere:
    """Return it, wired."""
    vouched = Vouched(store, clock, sign_in)
    provider = None
    if config.oidc_issuer and config.public_url:
        client = Client(
            issuer=config.oidc_issuer,
            id=config.oidc_client_id,
            secret=config.oidc_client_secret,
            redirect_uri=f"{config.public_url}{CALLBACK}",
            claim=config.oidc_claim,
            ca_file=config.oidc_ca_file,
        )
        provider = ProviderSignIn(OpenIdProvider(client, clock), vouched, config.oidc_role)
    return Elsewhere(vouched, config.sign_in_role, provider)
