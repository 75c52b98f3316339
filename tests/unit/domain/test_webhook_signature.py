"""Signatures of every provider, over bodies and headers as the forges send them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.secret import Secret
from reconciler.domain.webhook import DIALECTS, Provider
from reconciler.domain.webhook_signature import Verdict, sign, verify

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SENT = str(int(NOW.timestamp()))
SECRET, OLDER, OTHER = (Secret.of(text * 4) for text in ("It's a Secret"[5:], "older-one", "other"))
KEY = bytes(range(32))
SIGNING = Secret.of(f"whsec_{base64.b64encode(KEY).decode()}")
BODY = b'{"ref":"refs/heads/main","repository":{"full_name":"team/app"}}'
HEX = hmac.new(SECRET.reveal().encode(), BODY, hashlib.sha256).hexdigest()
SHA1 = hmac.new(SECRET.reveal().encode(), BODY, hashlib.sha1).hexdigest()
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
SIGNED = base64.b64encode(
    hmac.new(KEY, f"{ID}.{SENT}.".encode() + BODY, hashlib.sha256).digest()
).decode()

#: As they come, with the copies for older receivers that some of them send along.
GENUINE: dict[Provider, dict[str, str]] = {
    Provider.GITEA: {
        "x-gitea-event": "push",
        "x-gitea-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
        "x-gitea-signature": HEX,
        "x-gogs-signature": HEX,
        "x-hub-signature": f"sha1={SHA1}",
        "x-hub-signature-256": f"sha256={HEX}",
    },
    Provider.FORGEJO: {
        "x-forgejo-event": "push",
        "x-forgejo-signature": HEX,
        "x-gitea-signature": HEX,
        "x-hub-signature-256": f"sha256={HEX}",
    },
    Provider.GOGS: {"x-gogs-event": "push", "x-gogs-signature": HEX},
    Provider.GITHUB: {
        "x-github-event": "push",
        "x-hub-signature": f"sha1={SHA1}",
        "x-hub-signature-256": f"sha256={HEX}",
    },
    Provider.GITLAB: {"x-gitlab-event": "Push Hook", "x-gitlab-token": SECRET.reveal()},
    Provider.GITLAB_SIGNED: {
        "x-gitlab-event": "Push Hook",
        "webhook-id": ID,
        "webhook-timestamp": SENT,
        "webhook-signature": f"v1,{SIGNED}",
    },
    Provider.BITBUCKET_CLOUD: {"x-event-key": "repo:push", "x-hub-signature": f"sha256={HEX}"},
    Provider.BITBUCKET_SERVER: {
        "x-event-key": "repo:refs_changed",
        "x-hub-signature": f"sha256={HEX}",
    },
    Provider.GITHUB_PACKAGES: {
        "x-github-event": "registry_package",
        "x-hub-signature-256": f"sha256={HEX}",
    },
    Provider.DISTRIBUTION: {"authorization": f"Bearer {SECRET.reveal()}"},
    Provider.HARBOR: {"authorization": SECRET.reveal()},
}
#: The header that each one is known by.
MARK = {
    Provider.GITEA: "x-gitea-signature",
    Provider.FORGEJO: "x-forgejo-signature",
    Provider.GOGS: "x-gogs-signature",
    Provider.GITHUB: "x-hub-signature-256",
    Provider.GITLAB: "x-gitlab-token",
    Provider.GITLAB_SIGNED: "webhook-signature",
    Provider.BITBUCKET_CLOUD: "x-hub-signature",
    Provider.BITBUCKET_SERVER: "x-hub-signature",
    Provider.GITHUB_PACKAGES: "x-hub-signature-256",
    Provider.DISTRIBUTION: "authorization",
    Provider.HARBOR: "authorization",
}
#: Whose secret comes itself, and covers nothing of the body.
IN_THE_CLEAR = {Provider.GITLAB, Provider.DISTRIBUTION, Provider.HARBOR}
BY_KEY = [one for one in Provider if one.has_key_in_path]
every_provider = pytest.mark.parametrize("provider", list(GENUINE))


def secret_of(provider: Provider) -> Secret:
    return SIGNING if provider is Provider.GITLAB_SIGNED else SECRET


def verdict_of(
    provider: Provider,
    headers: dict[str, str],
    *,
    body: bytes = BODY,
    secrets: tuple[Secret, ...] = (),
    now: datetime = NOW,
) -> Verdict:
    given = {name: [value] for name, value in headers.items()}
    return verify(provider, given, body, secrets or (secret_of(provider),), now)


def test_the_vector_that_github_documents() -> None:
    """Source: GitHub documentation, "Validating webhook deliveries", testing."""
    tag = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    verdict = verdict_of(
        Provider.GITHUB,
        {"x-hub-signature-256": f"sha256={tag}"},
        body=b"Hello, World!",
        secrets=(Secret.of("It's a Secret to Everybody"),),
    )
    assert verdict is Verdict.VERIFIED


def test_the_vector_that_standard_webhooks_documents() -> None:
    """Source: Standard Webhooks specification, "Signature scheme", its libraries' test."""
    verdict = verdict_of(
        Provider.GITLAB_SIGNED,
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        body=b'{"test": 2432232314}',
        secrets=(Secret.of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
        now=datetime.fromtimestamp(1614265330, UTC),
    )
    assert verdict is Verdict.VERIFIED


@every_provider
def test_what_is_genuine(provider: Provider) -> None:
    """It is verified by the present secret, and during a rotation by the previous one."""
    headers = GENUINE[provider]
    present = secret_of(provider)
    newer = Secret.of(f"whsec_{base64.b64encode(b'n' * 32).decode()}")
    assert verdict_of(provider, headers) is Verdict.VERIFIED
    assert verdict_of(provider, headers, secrets=(present, OTHER)) is Verdict.VERIFIED
    rotated = verdict_of(provider, headers, secrets=(newer, present))
    assert rotated is Verdict.VERIFIED_BY_PREVIOUS


@every_provider
def test_what_we_sign_ourselves_is_verified(provider: Provider) -> None:
    """So that a test goes the same way as what a forge sends."""
    signed = sign(provider, BODY, secret_of(provider), ID, NOW)
    headers = dict.fromkeys(DIALECTS[provider].delivery_headers[:1], ID) | signed
    assert verdict_of(provider, headers) is Verdict.VERIFIED


@every_provider
def test_what_is_forged(provider: Provider) -> None:
    """Another secret, a changed body, no secret at all: never verified."""
    headers = GENUINE[provider]
    wrong = Secret.of(f"whsec_{base64.b64encode(b'w' * 32).decode()}")
    assert verdict_of(provider, headers, secrets=(wrong,)) is Verdict.WRONG
    assert not verify(provider, _listed(headers), BODY, (), NOW).verified
    if provider not in IN_THE_CLEAR:
        assert verdict_of(provider, headers, body=BODY + b" ") is Verdict.WRONG
        assert verdict_of(provider, headers, body=b"") is Verdict.WRONG


@every_provider
@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        pytest.param(None, Verdict.MISSING, id="none"),
        pytest.param("", Verdict.MISSING, id="empty"),
        pytest.param("sha256=", Verdict.MALFORMED, id="prefix-only"),
        pytest.param("v1,", Verdict.MALFORMED, id="version-only"),
        pytest.param(f"sha1={SHA1}", Verdict.MALFORMED, id="sha1"),
        pytest.param(f"sha512={HEX}", Verdict.MALFORMED, id="another-prefix"),
        pytest.param(HEX[:-1], Verdict.MALFORMED, id="short"),
        pytest.param(f"{HEX}0", Verdict.MALFORMED, id="long"),
        pytest.param(f"sha256=sha256={HEX}", Verdict.MALFORMED, id="prefix-twice"),
        pytest.param("ä" * 64, Verdict.MALFORMED, id="not-ascii"),
        pytest.param("０" * 64, Verdict.MALFORMED, id="wide-digits"),
        pytest.param(f"v2,{SIGNED}", Verdict.MALFORMED, id="another-version"),
    ],
)
def test_what_is_no_signature(provider: Provider, value: str | None, verdict: Verdict) -> None:
    """Nothing of another form counts; as a plain token it is simply another one."""
    headers = {name: one for name, one in GENUINE[provider].items() if name != MARK[provider]}
    if value is not None:
        headers[MARK[provider]] = value
    expected = verdict
    if provider in {Provider.GITLAB, Provider.HARBOR} and value:
        expected = Verdict.WRONG
    assert verdict_of(provider, headers) is expected


@every_provider
def test_a_header_that_comes_twice_counts_as_none(provider: Provider) -> None:
    """Whichever of the two a proxy would have looked at."""
    given = _listed(GENUINE[provider])
    given[MARK[provider]] *= 2
    assert verify(provider, given, BODY, (secret_of(provider),), NOW) is Verdict.MALFORMED


@pytest.mark.parametrize("declared", [one for one in Provider if one is not Provider.GITLAB])
def test_a_token_in_the_clear_stands_in_for_no_signature(declared: Provider) -> None:
    """The provider is declared: the headers of another one are not even looked at."""
    headers = GENUINE[Provider.GITLAB]
    assert verdict_of(declared, headers, secrets=(SECRET,)) is Verdict.MISSING
    assert verdict_of(Provider.GITHUB, GENUINE[Provider.GOGS]) is Verdict.MISSING
    assert verdict_of(Provider.GITEA, GENUINE[Provider.GITHUB]) is Verdict.MISSING


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        pytest.param(timedelta(minutes=5), Verdict.VERIFIED, id="five-minutes"),
        pytest.param(timedelta(minutes=5, seconds=1), Verdict.OUT_OF_TIME, id="replayed"),
        pytest.param(-timedelta(minutes=6), Verdict.OUT_OF_TIME, id="from-the-future"),
    ],
)
def test_a_signed_time_is_near(late: timedelta, verdict: Verdict) -> None:
    """A recording of an old delivery is refused."""
    assert verdict_of(Provider.GITLAB_SIGNED, GENUINE[Provider.GITLAB_SIGNED], now=NOW + late) is (
        verdict
    )


@pytest.mark.parametrize(
    ("header", "value", "verdict"),
    [
        pytest.param("webhook-id", "another", Verdict.WRONG, id="another-id"),
        pytest.param("webhook-timestamp", str(int(SENT) + 1), Verdict.WRONG, id="another-time"),
        pytest.param("webhook-timestamp", "soon", Verdict.MALFORMED, id="no-time"),
        pytest.param("webhook-timestamp", "-1", Verdict.MALFORMED, id="negative"),
        pytest.param("webhook-timestamp", "9" * 400, Verdict.MALFORMED, id="endless"),
        pytest.param("webhook-signature", f"v1,AAAA v1,{SIGNED}", Verdict.VERIFIED, id="second"),
        pytest.param("webhook-signature", f"v1a,{SIGNED}", Verdict.MALFORMED, id="asymmetric"),
        pytest.param("webhook-signature", "v1,?" + SIGNED, Verdict.MALFORMED, id="no-base64"),
    ],
)
def test_all_that_is_signed_counts(header: str, value: str, verdict: Verdict) -> None:
    """Id and time belong to the signed text."""
    headers = {**GENUINE[Provider.GITLAB_SIGNED], header: value}
    assert verdict_of(Provider.GITLAB_SIGNED, headers) is verdict


def _listed(headers: dict[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in headers.items()}


def verdict_of_key(provider: Provider, key: str | None, *secrets: Secret) -> Verdict:
    return verify(provider, {}, BODY, secrets or (SECRET,), NOW, key)


@pytest.mark.parametrize("provider", BY_KEY)
def test_a_key_in_the_path_is_compared_whole(provider: Provider) -> None:
    """By the providers that have nothing else; a previous one is taken during a rotation."""
    key = SECRET.reveal()
    assert verdict_of_key(provider, key) is Verdict.VERIFIED
    assert verdict_of_key(provider, key, OTHER, SECRET) is Verdict.VERIFIED_BY_PREVIOUS
    assert sign(provider, BODY, SECRET, ID, NOW) == {}
    for missing in (None, ""):
        assert verdict_of_key(provider, missing) is Verdict.MISSING
    for wrong in (key[:-1], f"{key}x", key.upper(), "ä" * 16, "\udcff" * 16, OTHER.reveal()):
        assert verdict_of_key(provider, wrong) is Verdict.WRONG
    in_headers = {"authorization": [f"Bearer {key}"], "x-gitlab-token": [key]}
    assert verify(provider, in_headers, BODY, (SECRET,), NOW) is Verdict.MISSING


@every_provider
def test_who_can_do_better_has_no_key_in_the_path(provider: Provider) -> None:
    """Not even the right one, and not beside a signature that fits."""
    headers = _listed(GENUINE[provider])
    present = secret_of(provider)
    for key in (present.reveal(), ""):
        assert verify(provider, headers, BODY, (present,), NOW, key) is Verdict.MALFORMED
        assert verify(provider, {}, BODY, (present,), NOW, key) is Verdict.MALFORMED


def test_harbor_s_header_may_have_a_word_before_the_secret() -> None:
    """Its operator enters the whole header; distribution's has to say Bearer."""
    secret = SECRET.reveal()
    for told in (secret, f"Bearer {secret}"):
        assert verdict_of(Provider.HARBOR, {"authorization": told}) is Verdict.VERIFIED
    bare = {"authorization": secret}
    assert verdict_of(Provider.DISTRIBUTION, bare) is Verdict.MALFORMED
    for wrong in ("ä" * 16, "\xff" * 16, secret[:-1], f"{secret} ", ""):
        for provider in (Provider.DISTRIBUTION, Provider.HARBOR):
            assert verdict_of(provider, {"authorization": f"Bearer {wrong}"}) is Verdict.WRONG
    for word in ("Basic", "bearer", "Bearer Bearer"):
        assert not verdict_of(Provider.HARBOR, {"authorization": f"{word} {secret}"}).verified
