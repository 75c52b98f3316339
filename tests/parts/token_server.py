"""The token server of a registry: the other half of Docker's token authentication.

Source: CNCF Distribution, "Token Authentication Specification" and "Token Authentication
Implementation".
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.parts.certificates import CertificateAuthority
from tests.parts.http_server import Answer, HttpServer, Request

ISSUER = "reconciler-tests"
SERVICE = "registry.test"


@dataclass
class TokenPolicy:
    """Who may have a token, and for how long; change it while the server runs."""

    users: dict[str, str] = field(default_factory=dict)
    anonymous_may_pull: bool = False
    lifetime_seconds: int = 300
    #: When set, every request gets this answer instead.
    instead: Answer | None = None


class TokenServer(HttpServer):
    """Gives out signed tokens; `requests` holds every request with its Authorization header."""

    def __init__(self, directory: Path, policy: TokenPolicy) -> None:
        """Make the signing key; the registry has to trust ``trusted_path``."""
        super().__init__(self._grant)
        self.policy = policy
        authority = CertificateAuthority(directory)
        signer = authority.issue("token.test", name="token")
        self.trusted_path = authority.ca_path
        key = serialization.load_pem_private_key(signer.key_path.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        certificate = x509.load_pem_x509_certificate(signer.certificate_path.read_bytes())
        der = certificate.public_bytes(serialization.Encoding.DER)
        # The chain in the token is what ties the key to the root that the registry trusts.
        self._header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}

    def token(self, *scopes: str) -> str:
        """Return a token for ``scopes``, e.g. ``repository:team/web:pull,push``."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": "",
            "iat": now,
            # The registry allows for a minute of clock skew; the tests want expiry on the second.
            "nbf": now - 60,
            "exp": now + self.policy.lifetime_seconds,
            "jti": f"{time.monotonic_ns()}",
            "access": [_access(scope) for scope in scopes],
        }
        signed = f"{_encoded(self._header)}.{_encoded(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _grant(self, request: Request) -> Answer:
        if self.policy.instead:
            return self.policy.instead
        scopes = [part for value in request.query.get("scope", []) for part in value.split()]
        if request.authorization is None:
            if not self.policy.anonymous_may_pull:
                return Answer(401, {"Content-Type": "application/json"}, b'{"details": "who?"}')
            scopes = [scope.rpartition(":")[0] + ":pull" for scope in scopes]
        elif not self._is_known(request.authorization):
            return Answer(401, {"Content-Type": "application/json"}, b'{"details": "no such user"}')
        answer = {"token": self.token(*scopes), "expires_in": self.policy.lifetime_seconds}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _is_known(self, authorization: str) -> bool:
        return authorization in {
            f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
            for user, password in self.policy.users.items()
        }


def _access(scope: str) -> dict[str, object]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _encoded(part: Mapping[str, object]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
