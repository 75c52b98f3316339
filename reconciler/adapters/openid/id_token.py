"""What a provider says about a person: signed by it, for us, now, and for this browser."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from reconciler.domain.errors import IdentityRefused

if TYPE_CHECKING:
    from joserfc.jwk import Key
    from joserfc.jwt import Token

#: With a key pair each: with a shared secret, or without any, everybody could sign.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
_KINDS = frozenset({"RSA", "EC", "OKP"})
_LEEWAY = timedelta(minutes=1)
#: A token that is older was not made for the code that we have just shown.
_OLDEST = timedelta(minutes=10)
_MOST_KEYS = 50
_LONGEST_TOKEN = 64 << 10


@dataclass(frozen=True, slots=True)
class Expected:
    """For whom, by whom, and when it has to be."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None
    now: datetime


def read_id_token(text: object, keys: object, expected: Expected) -> Mapping[str, Any]:
    """Return what it says about the person.

    Args:
        text: as the token endpoint gave it.
        keys: the provider's key set, as it publishes it.
        expected: what else has to be true.

    Raises:
        IdentityRefused: saying what is wrong with it.
    """
    from authlib.oidc.core import CodeIDToken  # heavy, and only needed here
    from joserfc.errors import JoseError

    if not isinstance(text, str) or not text.isascii() or len(text) > _LONGEST_TOKEN:
        raise IdentityRefused("the provider gave no ID token")
    token = _verified(text, keys)
    params = {
        "nonce": expected.nonce,
        "client_id": expected.client_id,
        "access_token": expected.access_token,
    }
    options = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
    }
    claims = CodeIDToken(token.claims, token.header, options, params)
    now = int(expected.now.timestamp())
    try:
        claims.validate(now=now, leeway=int(_LEEWAY.total_seconds()))
        is_old = now - claims["iat"] > _OLDEST.total_seconds()
    except (JoseError, TypeError, ValueError) as error:
        raise IdentityRefused(f"the provider's ID token is not for us: {error}") from None
    if is_old:
        raise IdentityRefused("the provider's ID token was made long ago")
    return dict(claims)


def _verified(text: str, keys: object) -> "Token":
    from joserfc import jws, jwt
    from joserfc.errors import JoseError

    try:
        header = jws.extract_compact(text.encode()).headers()
        if header.get("alg") not in ALGORITHMS:
            way = str(header.get("alg"))[:20]
            raise IdentityRefused(f"the ID token is signed with {way!r}, if at all")
        for key in _candidates(keys, header.get("kid")):
            try:
                return jwt.decode(text, key, algorithms=list(ALGORITHMS))
            except (JoseError, TypeError, ValueError):
                continue  # another key may be the one
    except (JoseError, TypeError, ValueError, RecursionError):
        raise IdentityRefused("the provider's ID token can't be read") from None
    raise IdentityRefused("the ID token is signed with none of the provider's keys")


def _candidates(keys: object, kid: object) -> Iterator["Key"]:
    """Yield the keys that it may be signed with: public ones, for signatures, of its name."""
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    listed = keys.get("keys") if isinstance(keys, dict) else None
    for key in listed[:_MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(key, dict) or key.get("kty") not in _KINDS:
            continue
        if key.get("use", "sig") != "sig" or (kid is not None and key.get("kid", kid) != kid):
            continue
        try:
            yield import_key(key)
        except (JoseError, TypeError, ValueError):
            continue  # one that we can't read is not the one
