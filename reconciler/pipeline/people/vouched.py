"""People who show no password here: a proxy or a provider says who they are."""

from dataclasses import dataclass
from datetime import timedelta

from reconciler.domain.access import Person, Role, parse_person_name
from reconciler.domain.errors import AlreadyExists, IdentityRefused, InvalidInput
from reconciler.domain.openid import Flow
from reconciler.domain.sign_in import Patience
from reconciler.pipeline.people.sessions import Browser
from reconciler.pipeline.people.sign_in import SignedIn, SignIn
from reconciler.ports import Acting, Clock, IdentityProvider, Store, acting_for, who_acts

#: What was taken once is not taken again before it has long expired.
_ONCE = Patience(0, timedelta(hours=12), timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Vouched:
    """Begins sessions for them."""

    store: Store
    clock: Clock
    sign_in: SignIn

    def begin(self, name: str, way: str, new_role: Role | None, browser: Browser) -> SignedIn:
        """Begin a session for whom somebody who is trusted calls ``name``.

        Who has a password here is not taken over by a namesake elsewhere.

        Args:
            name: as they say it.
            way: ``proxy`` or ``oidc``.
            new_role: of who is not known here yet; None: they are not let in.
            browser: where they are.

        Raises:
            IdentityRefused: nobody here is meant, or they sign in otherwise.
            AccessDenied: they are blocked.
        """
        person = self._find(name) or self._add(name, new_role)
        if not person.signs_in_elsewhere:
            raise IdentityRefused(f"{person.name} signs in here with a password, and only so")
        acting = who_acts()
        with acting_for(Acting(person.name, acting.remote, acting.request)):
            cookie = self.sign_in.sessions.begin(person.name, browser, way)
        return SignedIn(person.name, cookie, self.sign_in.mark_for(person.name))

    def _find(self, name: str) -> Person | None:
        try:
            return self.store.find_person(parse_person_name(name))
        except InvalidInput as error:
            raise IdentityRefused(f"nobody here can be called so: {error.message}") from None

    def _add(self, name: str, role: Role | None) -> Person:
        if role is None:
            raise IdentityRefused(
                f"nobody here is called {name}; an admin can add them: "
                f"`reconciler person add {name} --elsewhere`"
            )
        person = Person(name, role, self.clock.now(), signs_in_elsewhere=True)
        acting = who_acts()
        try:
            with acting_for(Acting(person.name, acting.remote, acting.request)):
                self.store.add_person(person)
        except AlreadyExists:  # another request, or a replica, was faster
            return self.store.get_person(name)
        return person


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """Signing in with an OpenID Connect provider."""

    provider: IdentityProvider
    vouched: Vouched
    new_role: Role | None

    def begin(self) -> tuple[Flow, str]:
        """Return what the browser is to keep, and where it is sent. Raises ``ProviderFailed``."""
        flow = Flow.begin(self.vouched.clock.now())
        return flow, self.provider.address_to_ask(flow)

    def finish(self, flow: Flow, code: str, browser: Browser) -> SignedIn:
        """Begin a session for whom the provider names; once for each flow.

        Raises:
            ProviderFailed: the provider does not answer as it should.
            IdentityRefused: what it says is not taken, or nobody here is meant.
            AccessDenied: they are blocked.
        """
        name = self.provider.identify(flow, code)
        store, now = self.vouched.store, self.vouched.clock.now()
        if store.take_attempt(f"oidc {flow.state}", now, _ONCE):
            raise IdentityRefused("this way from the provider was gone before; sign in anew")
        return self.vouched.begin(name, "oidc", self.new_role, browser)
