"""What of a verified deployment belongs to what another environment declares."""

import pytest

from reconciler.domain.deployment import (
    Built,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
)
from reconciler.domain.handing_on import HandedOn, Handover
from reconciler.domain.host import HostName
from reconciler.domain.promotion import handed_on
from reconciler.domain.references import CommitSha, Digest, ImageReference, ServiceName
from reconciler.domain.revision import Revision

COMMIT = CommitSha("c" * 40)
APP = ImageReference.parse("registry.example/app:1")


def digest(letter: str) -> Digest:
    return Digest(f"sha256:{letter * 64}")


def on(host: str, **pins: Pin | Built | None) -> PreparedTarget:
    services = tuple(PlannedService(ServiceName(name), pin) for name, pin in pins.items())
    return PreparedTarget(Revision(COMMIT), services, host=HostName(host))


def handover(*targets: PreparedTarget) -> Handover:
    followed = {str(APP): digest("a")}
    prepared = PreparedRevision(Revision(COMMIT, followed), targets)
    return Handover(prepared, handed_on(prepared))


WEB = Pin(APP, digest("a"))
API = Built(ImageReference.parse("shop-api:x"), digest("b"))
ELSE = Built(ImageReference.parse("shop-api:y"), digest("c"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("web", HandedOn(WEB, (HostName("a"), HostName("b"))), id="service"),
        pytest.param(str(APP), HandedOn(WEB, (HostName("a"), HostName("b"))), id="image"),
        pytest.param("api", HandedOn(ELSE, (HostName("b"),)), id="the-one-that-is-promoted"),
        pytest.param("db", None, id="not-pinned"),
        pytest.param("other", None, id="no-such-service"),
        pytest.param("registry.example/app:2", None, id="another-tag"),
        pytest.param("shop-api:x", None, id="what-is-built-is-no-image-of-a-registry"),
    ],
)
def test_what_is_handed_on_is_found_by_service_or_by_image(
    name: str, expected: HandedOn | None
) -> None:
    targets = on("a", web=WEB, api=API, db=None), on("b", web=WEB, api=ELSE, db=None)
    assert handover(*targets).find(name) == expected


def test_what_was_verified_and_is_not_promoted_is_not_handed_on() -> None:
    """Approvals are of the revision: nothing beside it is taken."""
    made = handover(on("a", web=WEB))
    other = Handover(made.prepared, Revision(COMMIT, {str(APP): digest("d")}))
    assert other.find("web") is None
    assert other.find(str(APP)) is None
