"""What was seen of the images, and of the registries that have them."""

from collections.abc import Iterator

from reconciler.domain.compose import BUILT_HERE, OF_STATEFUL_SERVICE, PINNED_BY_DIGEST
from reconciler.domain.failure import Failure
from reconciler.domain.foreign_labels import is_of_a_label
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import Digest, ImageReference
from reconciler.domain.state import RegistryTrouble, WatchedImage
from reconciler.pipeline.reasons.explained import ExplainedReason, reason, with_remedy
from reconciler.pipeline.reasons.facts import Facts

#: Why an image is not watched → its code, where that is as it should be.
_LEFT_ALONE = {
    OF_STATEFUL_SERVICE: ReasonCode.IMAGE_STATEFUL,
    BUILT_HERE: ReasonCode.IMAGE_EXACT,
    PINNED_BY_DIGEST: ReasonCode.IMAGE_EXACT,
}


def reasons_of_images(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield what keeps images from being followed, what was seen, and the next look."""
    yield from _registries(facts)
    yield from (reason(one.code, one.text, None, {"until": one.until}) for one in facts.too_young())
    for image in facts.images:
        if image.unwatched_because:
            yield _unwatched(image)
        elif image.error:
            yield _failed(image, image.error)
        elif image.digest:
            yield _observed(image, image.digest)
    yield from _only_noted(facts)
    yield from _next_look(facts)


def _watched(facts: Facts) -> list[WatchedImage]:
    return [one for one in facts.images if not one.unwatched_because]


def _registries(facts: Facts) -> Iterator[ExplainedReason]:
    if troubles := [one for one in facts.registries if one.goes_on(facts.now)]:
        hosts = {ImageReference.parse(one.image).registry for one in _watched(facts)}
        yield from (_trouble(one) for one in troubles if one.host in hosts)


def _trouble(trouble: RegistryTrouble) -> ExplainedReason:
    text = f"registry {trouble.host} does not answer; its images are not watched until it does"
    if trouble.code is ReasonCode.REGISTRY_COOLED:
        text = f"registry {trouble.host} asked to be left alone; the last digests stay in force"
    evidence = {"registry": trouble.host, "until": trouble.until, "username": trouble.username}
    return reason(trouble.code, f"{text} ({trouble.message})", trouble.since, evidence)


def _unwatched(image: WatchedImage) -> ExplainedReason:
    because = image.unwatched_because
    code = _LEFT_ALONE.get(because, ReasonCode.IMAGE_UNWATCHED)
    if is_of_a_label(because):
        code = ReasonCode.IMAGE_LABELLED
    evidence = {**_named(image), "because": because}
    return reason(code, f"{image.image} is not watched: {because}", evidence=evidence)


def _failed(image: WatchedImage, error: Failure) -> ExplainedReason:
    stays = f"{image.digest.short} stays in force" if image.digest else "no digest is known yet"
    text = f"the last look-up of {image.image} failed, and {stays}: {error.message}"
    evidence = {**error.evidence, **_named(image), "error": error.code, **_digest(image)}
    return reason(ReasonCode.LOOKUP_FAILED, with_remedy(text, error), image.looked_at, evidence)


def _observed(image: WatchedImage, digest: Digest) -> ExplainedReason:
    text = f"{image.image} was {digest.short} at the last look"
    evidence = {**_named(image), **_digest(image)}
    return reason(ReasonCode.IMAGE_OBSERVED, text, image.looked_at, evidence)


def _only_noted(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield the images whose digest was only written down: nothing was deployed for them."""
    state = facts.state
    noted = [one for one in _watched(facts) if one.digest and one.image in state.tracked_images]
    if not state.images_seeded:
        return
    if state.live is not None:
        deployed = state.live.target_revision.images
        yield from (_new(one) for one in noted if one.image not in deployed)
    elif noted:
        since = min((one.first_seen_at for one in noted if one.first_seen_at), default=None)
        count = f"{len(noted)} image{'' if len(noted) == 1 else 's'}"
        text = f"the first look noted the digests of {count}; the next that moves deploys"
        evidence = {one.image: one.digest for one in noted}
        yield reason(ReasonCode.IMAGES_SEEDED, text, since, evidence)


def _new(image: WatchedImage) -> ExplainedReason:
    text = f"{image.image} is new; its digest was noted, and the next move deploys"
    evidence = {**_named(image), **_digest(image)}
    return reason(ReasonCode.IMAGE_NEW, text, image.first_seen_at, evidence)


def _next_look(facts: Facts) -> Iterator[ExplainedReason]:
    """Yield when the watch comes by again: its interval after the newest look."""
    looks = [one.looked_at for one in _watched(facts) if one.looked_at]
    watched = facts.project.auto_deploy and facts.project.follows_its_source
    if looks and facts.image_interval and watched:
        at = max(looks) + facts.image_interval
        evidence = {"interval_seconds": int(facts.image_interval.total_seconds())}
        yield reason(ReasonCode.NEXT_IMAGE_LOOK, "the images are looked at again", at, evidence)


def _named(image: WatchedImage) -> dict[str, object]:
    return {"image": image.image, "services": ", ".join(image.services)}


def _digest(image: WatchedImage) -> dict[str, object]:
    return {"digest": image.digest, "first_seen": image.first_seen_at}
