"""An OpenID Connect provider over real HTTP with real keys, and the faults that one can have.

Written from OpenID Connect Core and Discovery 1.0, RFC 6749, 7515, 7517, 7518 and 7636.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.parts.http_server import Answer, HttpServer, Request

CLIENT, SECRET = "reconciler", "s3cret/+%"
_ORDER_BYTES = 32

Json = dict[str, Any]


@dataclass
class OpenIdProvider:
    """Whoever comes to it is signed in as ``person`` at once, and sent back."""

    redirect_uri: str
    person: Json = field(default_factory=lambda: {"sub": "1", "preferred_username": "ada"})
    #: What a fault changes: of the claims, the signature, the answer of a path.
    claims: Callable[[Json], Json] = lambda claims: claims
    sign: Callable[["OpenIdProvider", Json], str] | None = None
    answers: dict[str, Callable[[Request], Answer]] = field(default_factory=dict)
    reuses_codes: bool = False

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.url = ""
        self.codes: dict[str, Json] = {}
        self.asked: list[str] = []

    @contextmanager
    def running(self) -> Iterator["OpenIdProvider"]:
        """Serve on a free port."""
        with HttpServer(self._answer) as server:
            self.url = server.url
            yield self

    def _answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        if fault := self.answers.get(request.path):
            return fault(request)
        match request.path:
            case "/.well-known/openid-configuration":
                return as_json(self.metadata())
            case "/authorize":
                return self._authorize(request)
            case "/token":
                return self._redeem(request)
            case "/jwks":
                return as_json({"keys": [self.jwk()]})
        return Answer(404)

    def metadata(self) -> Json:
        """What it says about itself."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def jwk(self) -> Json:
        """Its public key."""
        numbers = self.key.public_key().public_numbers()
        x, y = (_encoded(part.to_bytes(_ORDER_BYTES, "big")) for part in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "k1", "use": "sig"}

    def public_pem(self) -> bytes:
        """The same as PEM."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _authorize(self, request: Request) -> Answer:
        asked = {name: values[0] for name, values in request.query.items()}
        wanted = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": self.redirect_uri,
            "code_challenge_method": "S256",
        }
        wrong = {name for name, value in wanted.items() if asked.get(name) != value}
        if wrong or "openid" not in asked.get("scope", "").split():
            return Answer(400, body=f"{wrong} {asked}".encode())
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        query = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return Answer(302, {"Location": f"{self.redirect_uri}?{query}"})

    def _redeem(self, request: Request) -> Answer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        begun = self.codes.get(form["code"])
        if not self.reuses_codes:
            self.codes.pop(form["code"], None)
        if request.authorization != _basic():
            return as_json({"error": "invalid_client"}, 401)
        challenge = _encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        fits = begun is not None and (
            (form["grant_type"], form["redirect_uri"], challenge)
            == ("authorization_code", begun["redirect_uri"], begun["code_challenge"])
        )
        if begun is None or not fits:
            return as_json({"error": "invalid_grant"}, 400)
        access_token = secrets.token_urlsafe(16)
        claims = self.claims(self._claims(begun["nonce"], access_token))
        token = self.sign(self, claims) if self.sign else self.signed(claims)
        given = {"access_token": access_token, "token_type": "Bearer", "id_token": token}
        return as_json(given)

    def _claims(self, nonce: str, access_token: str) -> Json:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        return {
            "iss": self.url,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "at_hash": _encoded(half),
            **self.person,
        }

    def signed(self, claims: Json, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        """Sign with its key, or another one."""
        text = _unsigned({"alg": "ES256", "kid": "k1"}, claims)
        found = (key or self.key).sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        parts = [part.to_bytes(_ORDER_BYTES, "big") for part in decode_dss_signature(found)]
        return f"{text}.{_encoded(b''.join(parts))}"


def signed_with_rsa(provider: OpenIdProvider, claims: Json) -> str:
    """Return a token as most providers sign theirs; the key set then has that key, too."""
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.public_key().public_numbers()
    n, e = (
        _encoded(part.to_bytes((part.bit_length() + 7) // 8, "big"))
        for part in (numbers.n, numbers.e)
    )
    keys = [provider.jwk(), {"kty": "RSA", "n": n, "e": e, "use": "sig", "alg": "RS256"}]
    provider.answers["/jwks"] = lambda _: as_json({"keys": keys})
    text = _unsigned({"alg": "RS256"}, claims)
    return f"{text}.{_encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def unsigned(_: OpenIdProvider, claims: Json) -> str:
    """Return a token that says it needs no signature."""
    return f"{_unsigned({'alg': 'none'}, claims)}."


def signed_with_public_key(provider: OpenIdProvider, claims: Json) -> str:
    """Return a token whose shared secret is what everybody can read."""
    text = _unsigned({"alg": "HS256", "kid": "k1"}, claims)
    digest = hmac.new(provider.public_pem(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{_encoded(digest)}"


def signed_with_another_key(provider: OpenIdProvider, claims: Json) -> str:
    """Return a token that says it is signed with the provider's key, and is not."""
    return provider.signed(claims, ec.generate_private_key(ec.SECP256R1()))


def as_json(body: Mapping[str, Any], status: int = 200) -> Answer:
    """Return an answer of JSON."""
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _unsigned(header: Json, claims: Json) -> str:
    return ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _basic() -> str:
    pair = urlencode({"": CLIENT})[1:] + ":" + urlencode({"": SECRET})[1:]
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
