"""Who sent a delivery: its signature over the body as it came, before anything in it is read.

Registries that can't sign send the secret itself: in a header, or as the last part of the path.

Sources: the forges' documentation of their webhooks; Standard Webhooks, "Signature scheme";
distribution's documentation, "Work with notifications": ``headers`` of an endpoint; Harbor's,
"Configure Webhook Notifications": the auth header is sent as ``Authorization``.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import HeaderValues, Provider

#: Of a signed timestamp to our clock.
TOLERANCE = timedelta(minutes=5)
#: Before the base64 of a key. Source: Standard Webhooks, "Secret".
SIGNED_PREFIX = "whsec_"

_TAG = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_SIGNED_VERSION = "v1,"
_MOST_SIGNATURES = 8
#: The header of a hex signature, and what stands before the digits. Those with ``sha1`` are older
#: forms that nothing here reads.
_HEX: Mapping[Provider, tuple[str, str]] = {
    Provider.GITEA: ("x-gitea-signature", ""),
    Provider.FORGEJO: ("x-forgejo-signature", ""),
    Provider.GOGS: ("x-gogs-signature", ""),
    Provider.GITHUB: ("x-hub-signature-256", "sha256="),
    Provider.BITBUCKET_CLOUD: ("x-hub-signature", "sha256="),
    Provider.BITBUCKET_SERVER: ("x-hub-signature", "sha256="),
    Provider.GITHUB_PACKAGES: ("x-hub-signature-256", "sha256="),
}
_SENT_AS_AUTHORIZATION = frozenset({Provider.DISTRIBUTION, Provider.HARBOR})
_BEARER = "Bearer "


class Verdict(StrEnum):
    """Whether a delivery is from who knows the secret, or why it does not count as that."""

    VERIFIED = "verified"
    VERIFIED_BY_PREVIOUS = "verified-by-previous-secret"  #: the forge has not got the new one yet
    MISSING = "signature-missing"
    MALFORMED = "signature-malformed"
    WRONG = "signature-wrong"
    OUT_OF_TIME = "timestamp-out-of-range"
    NOT_JSON = "not-json"  #: sent as a form

    @property
    def verified(self) -> bool:
        """Whether it is from who knows a secret."""
        return self in {Verdict.VERIFIED, Verdict.VERIFIED_BY_PREVIOUS}


@dataclass(frozen=True, slots=True)
class _Proof:
    fits: Callable[[Secret], bool]
    sent_at: float | None = None  #: seconds since 1970, where it is signed, too


class _NoProof(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def verify(
    provider: Provider,
    headers: HeaderValues,
    body: bytes,
    secrets: Sequence[Secret],
    now: datetime,
    key: str | None = None,
) -> Verdict:
    """Return whether one of ``secrets`` signed ``body``: the present one, then the previous one.

    Compared in constant time. What is empty, sent twice or in another form never fits; nor does a
    ``key``, the last part of the path, of a provider that can do better.
    """
    try:
        proof = _proof_of_key(provider, key) or _proof_of(provider, headers, body)
    except _NoProof as none:
        return none.verdict
    fitting = [bool(secret.reveal()) and proof.fits(secret) for secret in secrets]
    if True not in fitting:
        return Verdict.WRONG
    if proof.sent_at is not None and abs(now.timestamp() - proof.sent_at) > _TOLERATED_SECONDS:
        return Verdict.OUT_OF_TIME
    return Verdict.VERIFIED if fitting[0] else Verdict.VERIFIED_BY_PREVIOUS


def sign(
    provider: Provider, body: bytes, secret: Secret, delivery: str, now: datetime
) -> dict[str, str]:
    """Return the headers by which ``verify`` knows ``body`` to be from who knows ``secret``.

    There are none where the secret is in the path.
    """
    if provider.has_key_in_path:
        return {}
    if provider is Provider.GITLAB:
        return {"x-gitlab-token": secret.reveal()}
    if provider in _SENT_AS_AUTHORIZATION:
        return {"authorization": f"{_BEARER}{secret.reveal()}"}
    if provider is Provider.GITLAB_SIGNED:
        seconds = str(int(now.timestamp()))
        tag = _hmac(_signed_key(secret), _signed_text(delivery, seconds, body))
        return {
            "webhook-timestamp": seconds,
            "webhook-signature": _SIGNED_VERSION + base64.b64encode(tag).decode(),
        }
    header, prefix = _HEX[provider]
    return {header: prefix + _hmac(secret.reveal().encode(), body).hex()}


def _proof_of_key(provider: Provider, key: str | None) -> _Proof | None:
    """Return the proof that is in the path; None where it has to be elsewhere."""
    if provider.has_key_in_path:
        if not key:
            raise _NoProof(Verdict.MISSING)
        return _token_proof(key)
    if key is not None:
        raise _NoProof(Verdict.MALFORMED)
    return None


def _proof_of(provider: Provider, headers: HeaderValues, body: bytes) -> _Proof:
    if provider is Provider.GITLAB:
        return _token_proof(_only(headers, "x-gitlab-token"))
    if provider in _SENT_AS_AUTHORIZATION:
        return _authorization_proof(provider, _only(headers, "authorization"))
    if provider is Provider.GITLAB_SIGNED:
        return _signed_proof(headers, body)
    header, prefix = _HEX[provider]
    value = _only(headers, header)
    if not value.startswith(prefix) or not _TAG.fullmatch(value.removeprefix(prefix)):
        raise _NoProof(Verdict.MALFORMED)
    given = bytes.fromhex(value.removeprefix(prefix))
    return _Proof(lambda secret: _same(given, _hmac(secret.reveal().encode(), body)))


def _authorization_proof(provider: Provider, value: str) -> _Proof:
    """Harbor sends what its operator entered, with or without a word before it."""
    if not value.startswith(_BEARER) and provider is not Provider.HARBOR:
        raise _NoProof(Verdict.MALFORMED)
    return _token_proof(value.removeprefix(_BEARER))


def _token_proof(value: str) -> _Proof:
    """Return the proof of a secret that was sent itself; hashed, so that its length stays ours."""
    given = hashlib.sha256(value.encode(errors="replace")).digest()
    return _Proof(
        lambda secret: _same(given, hashlib.sha256(secret.reveal().encode()).digest()),
    )


def _signed_proof(headers: HeaderValues, body: bytes) -> _Proof:
    delivery, seconds = _only(headers, "webhook-id"), _only(headers, "webhook-timestamp")
    given = _signatures(_only(headers, "webhook-signature"))
    if not given or not _SECONDS.fullmatch(seconds):
        raise _NoProof(Verdict.MALFORMED)
    text = _signed_text(delivery, seconds, body)

    def fits(secret: Secret) -> bool:
        tag = _hmac(_signed_key(secret), text)
        return any(_same(one, tag) for one in given)

    return _Proof(fits, float(seconds))


def _signatures(value: str) -> list[bytes]:
    """Return the signatures of a header that may hold several; one of another version is none."""
    found = []
    for part in value.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        if part.startswith(_SIGNED_VERSION):
            with suppress(ValueError):
                found.append(base64.b64decode(part.removeprefix(_SIGNED_VERSION), validate=True))
    return [one for one in found if len(one) == hashlib.sha256().digest_size]


def _signed_text(delivery: str, seconds: str, body: bytes) -> bytes:
    return f"{delivery}.{seconds}.".encode(errors="replace") + body


def _signed_key(secret: Secret) -> bytes:
    return base64.b64decode(secret.reveal().removeprefix(SIGNED_PREFIX))


def _only(headers: HeaderValues, name: str) -> str:
    values = headers.get(name, ())
    if len(values) > 1:
        raise _NoProof(Verdict.MALFORMED)
    if not values or not values[0]:
        raise _NoProof(Verdict.MISSING)
    return values[0]


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


_TOLERATED_SECONDS = TOLERANCE.total_seconds()
