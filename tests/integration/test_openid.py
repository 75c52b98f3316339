"""OpenID Connect: who the provider says it is, or in words why that is not believed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from reconciler.adapters.openid import provider as openid
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import IdentityRefused, ProviderFailed, ReconcilerError
from reconciler.domain.openid import LASTS, Flow
from reconciler.domain.secret import Secret
from tests.parts.http_server import Answer
from tests.parts.openid_provider import (
    CLIENT,
    SECRET,
    Json,
    OpenIdProvider,
    as_json,
    signed_with_another_key,
    signed_with_public_key,
    signed_with_rsa,
    unsigned,
)

CALLBACK = "https://deploy.example.com/sign-in/oidc/callback"
NOW = int(time.time())


@pytest.fixture
def double() -> Iterator[OpenIdProvider]:
    with OpenIdProvider(CALLBACK).running() as running:
        yield running


def client_of(double: OpenIdProvider, claim: str = "preferred_username") -> openid.Client:
    return openid.Client(double.url, CLIENT, Secret.of(SECRET), CALLBACK, claim)


def come_back(url: str) -> str:
    """Go where the browser is sent, and return the code that it comes back with."""
    answer = httpx2.get(url, trust_env=False)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def sign_in(double: OpenIdProvider, claim: str = "preferred_username") -> str:
    ours = openid.OpenIdProvider(client_of(double, claim), SystemClock())
    flow = Flow.begin(datetime.now(UTC))
    return ours.identify(flow, come_back(ours.address_to_ask(flow)))


def refusal(double: OpenIdProvider, kind: type[ReconcilerError] = IdentityRefused) -> str:
    with pytest.raises(kind) as caught:
        sign_in(double)
    assert SECRET not in caught.value.message
    return caught.value.message


def test_the_claim_that_is_configured_names_the_person(double: OpenIdProvider) -> None:
    """An e-mail address only where the provider has verified it."""
    double.person |= {"email": "ada@example.com", "email_verified": True}
    assert sign_in(double) == "ada"
    assert sign_in(double, "email") == "ada@example.com"
    assert sign_in(double, "sub") == "1"
    for unverified in (False, "true", None):
        double.person["email_verified"] = unverified
        with pytest.raises(IdentityRefused, match="not verified"):
            sign_in(double, "email")
    del double.person["preferred_username"]
    assert "does not say preferred_username" in refusal(double)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"iss": "https://evil.example"}, "iss", id="wrong-issuer"),
        pytest.param({"aud": "another"}, "aud", id="wrong-audience"),
        pytest.param({"aud": ["another"]}, "aud", id="list-without-us"),
        pytest.param({"aud": [CLIENT, "another"]}, "azp", id="several-and-no-party"),
        pytest.param({"aud": [CLIENT, "another"], "azp": "another"}, "azp", id="for-another"),
        pytest.param({"azp": "another"}, "azp", id="party-is-another"),
        pytest.param({"exp": NOW - 120}, "expired", id="expired"),
        pytest.param({"exp": "soon"}, "exp", id="no-expiry"),
        pytest.param({"iat": NOW + 3600}, "iat|issued|not valid", id="from-the-future"),
        pytest.param({"iat": NOW - 3600}, "long ago", id="old"),
        pytest.param({"iat": float("-inf")}, "iat", id="as-old-as-can-be"),
        pytest.param({"nonce": "another"}, "nonce", id="wrong-nonce"),
        pytest.param({"nonce": None}, "nonce", id="no-nonce"),
        pytest.param({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash", id="another-access-token"),
        pytest.param({"sub": None}, "sub", id="nobody"),
    ],
)
def test_a_token_that_is_not_for_us_now_is_refused(
    double: OpenIdProvider, changed: Json, said: str
) -> None:
    """Every claim is looked at; None leaves it out."""
    double.claims = lambda claims: {
        name: value for name, value in {**claims, **changed}.items() if value is not None
    }
    assert any(word in refusal(double) for word in said.split("|")), refusal(double)


@pytest.mark.parametrize("sign", [unsigned, signed_with_public_key, signed_with_another_key])
def test_what_the_provider_did_not_sign_is_refused(
    double: OpenIdProvider, sign: Callable[[OpenIdProvider, Json], str]
) -> None:
    """Not without a signature, not with what everybody knows, not with a key of another."""
    double.sign = sign
    assert "signed with" in refusal(double)


def test_a_key_without_a_name_is_found_among_several(double: OpenIdProvider) -> None:
    """As with RSA, of providers whose tokens do not say which key it is."""
    double.sign = signed_with_rsa
    assert sign_in(double) == "ada"


def test_a_key_with_a_shared_secret_is_none_of_the_provider_s(double: OpenIdProvider) -> None:
    """Nor is one for encryption; a key that can't be read is passed over."""
    odd = [{"kty": "oct", "k": "AAAA", "kid": "k1"}, {"kty": "EC", "kid": "k1"}, "nonsense", None]
    double.answers["/jwks"] = lambda _: as_json({"keys": [*odd, double.jwk()]})
    assert sign_in(double) == "ada"
    double.answers["/jwks"] = lambda _: as_json({"keys": [{**double.jwk(), "use": "enc"}]})
    assert "none of the provider's keys" in refusal(double)


@pytest.mark.parametrize("text", ["", "a.b.c", "....", 7, None, "ö" * 10, "a" * (65 << 10)])
def test_what_is_no_token_is_refused(double: OpenIdProvider, text: object) -> None:
    """Whatever it is."""
    double.answers["/token"] = lambda _: as_json({"id_token": text})
    refusal(double)


def test_a_code_is_good_once_and_with_its_verifier(double: OpenIdProvider) -> None:
    """The double keeps to the specification: another browser's flow redeems nothing."""
    ours = openid.OpenIdProvider(client_of(double), SystemClock())
    flow, other = (Flow.begin(datetime.now(UTC)) for _ in range(2))
    code = come_back(ours.address_to_ask(flow))
    with pytest.raises(IdentityRefused, match="invalid_grant"):
        ours.identify(other, code)
    code = come_back(ours.address_to_ask(flow))
    assert ours.identify(flow, code) == "ada"
    with pytest.raises(IdentityRefused, match="invalid_grant"):
        ours.identify(flow, code)


CONFIGURATION = "/.well-known/openid-configuration"


@pytest.mark.parametrize("path", [CONFIGURATION, "/jwks", "/token"])
def test_a_provider_that_misbehaves_is_named(double: OpenIdProvider, path: str) -> None:
    """Too much, a redirect, an error, no JSON: nothing of it is followed, or kept."""
    elsewhere = f"{double.url}/elsewhere"
    faults = {
        "over 262144 bytes": Answer(body=iter(lambda: b" " * (64 << 10), b"")),
        "302": Answer(302, {"Location": elsewhere}),
        "500": Answer(500),
        "200": Answer(200, body=b"<html>"),
    }
    for said, fault in faults.items():
        double.answers[path] = lambda _, fault=fault: fault  # type: ignore[misc]
        assert said in refusal(double, ProviderFailed)
    assert "/elsewhere" not in double.asked


def test_a_provider_that_is_slow_is_not_waited_for(double: OpenIdProvider) -> None:
    """However it drips, all questions of a sign-in together have their time, and no more."""

    def drops() -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.05)
            yield b" "

    double.answers[CONFIGURATION] = lambda _: Answer(body=drops())
    ours = openid.OpenIdProvider(
        client_of(double), SystemClock(), limit=timedelta(milliseconds=300)
    )
    began = time.monotonic()
    with pytest.raises(ProviderFailed, match="no whole answer"):
        ours.address_to_ask(Flow.begin(datetime.now(UTC)))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.example/token\n"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"jwks_uri": "http://[::1"},
        {"jwks_uri": "http://127.0.0.1:port/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user@evil.example"},
    ],
)
def test_a_description_that_is_of_no_use(double: OpenIdProvider, changed: Json) -> None:
    """Of another issuer, or with addresses that nobody is sent to."""
    double.answers[CONFIGURATION] = lambda _: as_json({**double.metadata(), **changed})
    refusal(double, ProviderFailed)


def test_a_metadata_service_is_not_asked(double: OpenIdProvider) -> None:
    """Nothing of a cloud's is reached through what a provider says."""
    metadata = {**double.metadata(), "jwks_uri": "http://169.254.169.254/latest"}
    double.answers[CONFIGURATION] = lambda _: as_json({**metadata, "issuer": double.url})
    assert "where we ask nothing" in refusal(double, ProviderFailed)


def test_the_secret_is_shown_as_the_provider_takes_it(double: OpenIdProvider) -> None:
    """In the form where it says so; where it takes none, nothing is sent."""
    methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    double.answers[CONFIGURATION] = lambda _: as_json({**double.metadata(), **methods})
    bodies: list[bytes] = []

    def keep(request: object) -> Answer:
        bodies.append(request.body)  # type: ignore[attr-defined]
        return as_json({"error": "invalid_client"}, 401)

    double.answers["/token"] = keep
    assert "invalid_client" in refusal(double)
    assert parse_qs(bodies[0].decode())["client_secret"] == [SECRET]
    methods["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    assert "takes no client secret" in refusal(double, ProviderFailed)
    assert len(bodies) == 1


def test_a_client_without_a_secret(double: OpenIdProvider) -> None:
    """It names itself in the form."""
    ours = openid.OpenIdProvider(replace(client_of(double), secret=Secret.of("")), SystemClock())
    flow = Flow.begin(datetime.now(UTC))
    with pytest.raises(IdentityRefused, match="invalid_client"):  # this one has a secret
        ours.identify(flow, come_back(ours.address_to_ask(flow)))


def test_a_flow_belongs_to_its_browser_and_ends() -> None:
    """Its three texts follow from what the browser alone keeps, and tell nothing of each other."""
    now = datetime.now(UTC)
    flow = Flow.begin(now)
    assert Flow.of_cookie(flow.cookie, now) == flow
    assert len({flow.state, flow.nonce, flow.verifier, flow.secret}) == 4
    assert flow.secret not in repr(flow)
    assert flow.is_ours(flow.state)
    assert not flow.is_ours("")
    assert not flow.is_ours("ö")
    assert not Flow.begin(now).is_ours(flow.state)
    for late in (LASTS + timedelta(seconds=2), -timedelta(minutes=2)):
        assert Flow.of_cookie(flow.cookie, now + late) is None
    for text in ("", "1", f"{flow.began + 1}", f"x{flow.cookie}", f"999999999999.{flow.secret}"):
        assert Flow.of_cookie(text, now) is None
    later = Flow.of_cookie(f"{flow.began + 60}.{flow.secret}", now + timedelta(seconds=60))
    assert later
    assert not later.is_ours(flow.state)
