"""``IdentityProvider`` over OpenID Connect: the authorization code flow with PKCE."""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

from reconciler.adapters.deadline import Deadline
from reconciler.adapters.openid.conversation import Conversation, is_usable, may_be_clear
from reconciler.adapters.openid.id_token import Expected, read_id_token
from reconciler.adapters.timed_connections import timed_pool
from reconciler.domain.errors import IdentityRefused, ProviderFailed
from reconciler.domain.openid import Flow
from reconciler.domain.secret import Secret
from reconciler.log import plain, shorten
from reconciler.ports import Clock

#: Of all questions of one call.
LIMIT = timedelta(seconds=10)
#: For so long what the provider says about itself is not asked again: anybody can begin a flow.
_KEPT_FOR = timedelta(minutes=5)
_LONGEST_CODE = 4096
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows us by, and we it."""

    issuer: str
    id: str
    secret: Secret
    redirect_uri: str
    claim: str  #: that names the person
    ca_file: Path | None = None


class OpenIdProvider:
    """One provider. Threads may share it."""

    def __init__(self, client: Client, clock: Clock, *, limit: timedelta = LIMIT) -> None:
        """Give all questions of one call together ``limit``."""
        self._client = client
        self._clock = clock
        self._limit = limit
        self._pool = timed_pool(ca_file=client.ca_file, hosts=4, per_host=4)
        self._lock = threading.Lock()
        self._known: tuple[float, Mapping[str, Any]] | None = None

    @property
    def name(self) -> str:
        """See ``IdentityProvider.name``."""
        return urlsplit(self._client.issuer).hostname or self._client.issuer

    def address_to_ask(self, flow: Flow) -> str:
        """See ``IdentityProvider.address_to_ask``."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        endpoint = self._metadata(self._talk())["authorization_endpoint"]
        scope = "openid email profile" if self._client.claim != "sub" else "openid"
        return str(
            prepare_grant_uri(
                endpoint,
                self._client.id,
                "code",
                redirect_uri=self._client.redirect_uri,
                scope=scope,
                state=flow.state,
                nonce=flow.nonce,
                code_challenge=create_s256_code_challenge(flow.verifier),
                code_challenge_method="S256",
            )
        )

    def identify(self, flow: Flow, code: str) -> str:
        """See ``IdentityProvider.identify``."""
        if not code or len(code) > _LONGEST_CODE:
            raise IdentityRefused("the provider sent no code")
        talk = self._talk()
        metadata = self._metadata(talk)
        tokens = self._redeem(talk, metadata, flow, code)
        # Asked each time: few sign in at a time, and a key that was withdrawn is so at once.
        keys = talk.get(metadata["jwks_uri"])
        given = tokens.get("access_token")
        expected = Expected(
            self._client.issuer,
            self._client.id,
            flow.nonce,
            given if isinstance(given, str) else None,
            self._clock.now(),
        )
        return self._named(read_id_token(tokens.get("id_token"), keys, expected))

    def _talk(self) -> Conversation:
        return Conversation(self._pool, Deadline.after(self._limit))

    def _metadata(self, talk: Conversation) -> Mapping[str, Any]:
        """Return what the provider says about itself. Source: OpenID Connect Discovery 1.0."""
        with self._lock:
            known = self._known
        if known and self._clock.monotonic() - known[0] < _KEPT_FOR.total_seconds():
            return known[1]
        issuer = self._client.issuer
        found = talk.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            called = shorten(plain(str(found.get("issuer"))), _LONGEST_SHOWN)
            raise ProviderFailed(f"the provider calls itself {called!r}, not {issuer!r}")
        clear_text = may_be_clear(issuer)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_usable(found.get(name), clear_text=clear_text):
                raise ProviderFailed(f"{name} of {self.name} is no https:// address")
        with self._lock:
            self._known = (self._clock.monotonic(), found)
        return found

    def _redeem(
        self, talk: Conversation, metadata: Mapping[str, Any], flow: Flow, code: str
    ) -> Mapping[str, Any]:
        """Return what the provider gives for the code. Source: RFC 6749, section 4.1.3."""
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        headers, fields = self._shown(metadata)
        form = prepare_token_request(
            "authorization_code",
            redirect_uri=self._client.redirect_uri,
            code=code,
            code_verifier=flow.verifier,
            **fields,
        )
        status, found = talk.post(metadata["token_endpoint"], headers, str(form))
        if status == 200 and found is not None:
            return found
        said = found.get("error") if found else None
        if isinstance(said, str):
            shown = shorten(plain(said), _LONGEST_SHOWN)
            raise IdentityRefused(f"the provider takes the code for no sign-in: {shown}")
        raise ProviderFailed(f"the token endpoint of {self.name} answers {status}")

    def _shown(self, metadata: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers and fields that show who we are. Source: RFC 6749, section 2.3.1."""
        secret, name = self._client.secret.reveal(), self._client.id
        if not secret:
            return {}, {"client_id": name}
        ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in ways:
            pair = f"{quote_plus(name)}:{quote_plus(secret)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
        if "client_secret_post" in ways:
            return {}, {"client_id": name, "client_secret": secret}
        raise ProviderFailed(f"{self.name} takes no client secret, as it says")

    def _named(self, claims: Mapping[str, Any]) -> str:
        claim = self._client.claim
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise IdentityRefused(f"the provider does not say {claim}, which names people here")
        if claim == "email" and claims.get("email_verified") is not True:
            raise IdentityRefused("the provider has not verified the e-mail address")
        return name
