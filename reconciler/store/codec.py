"""Values of the domain as JSON, and back. What we wrote ourselves is trusted on the way back."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.domain.announcement import Move
from reconciler.domain.deployment import (
    Built,
    Cause,
    Pin,
    PlannedService,
    PreparedRevision,
    PreparedTarget,
    Release,
    Trigger,
)
from reconciler.domain.errors import Recovery
from reconciler.domain.failure import Failure
from reconciler.domain.forge import ForgeRepository, Registration
from reconciler.domain.gate import Reason
from reconciler.domain.history import CommitInfo
from reconciler.domain.host import HostName
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import CommitSha, Digest, ImageReference, ServiceName
from reconciler.domain.registry_event import ImageHint, ImagesHint
from reconciler.domain.revision import ImageDigests, Revision
from reconciler.domain.rules import Freeze
from reconciler.domain.state import Drift, PassedOver
from reconciler.domain.version_check import declaration_of as declaration_of_version
from reconciler.domain.version_check import parse_version_check
from reconciler.domain.webhook import Provider
from reconciler.domain.webhook_payload import PushHint
from reconciler.domain.wish import Wish
from reconciler.ports import Hint

JsonObject = dict[str, Any]
#: That are kept of a push, to look there again.
_MOST_NAMES = 50


def commit_to_text(commit: CommitSha | None) -> str | None:
    """Return the column's value."""
    return commit.text if commit else None


def commit_from_text(text: str | None) -> CommitSha | None:
    """Return what ``commit_to_text`` was given."""
    return CommitSha(text) if text else None


def digest_from_text(text: str | None) -> Digest | None:
    """Return the digest of a column that may be NULL."""
    return Digest(text) if text else None


def digests_to_json(digests: ImageDigests) -> dict[str, str]:
    """Return image → digest text."""
    return {image: digest.text for image, digest in digests.items()}


def digests_from_json(data: Mapping[str, str]) -> dict[str, Digest]:
    """Return what ``digests_to_json`` was given."""
    return {image: Digest(text) for image, text in data.items()}


def revision_to_json(revision: Revision) -> JsonObject:
    """Return the revision as an object."""
    return {
        "commit": commit_to_text(revision.commit),
        "images": digests_to_json(revision.images),
        "generation": revision.generation,
    }


def revision_from_json(data: JsonObject) -> Revision:
    """Return what ``revision_to_json`` was given."""
    return Revision(
        commit_from_text(data["commit"]), digests_from_json(data["images"]), data["generation"]
    )


def cause_to_json(cause: Cause) -> JsonObject:
    """Return the cause as an object."""
    return {"trigger": str(cause.trigger), "actor": cause.actor, "detail": cause.detail}


def cause_from_json(data: JsonObject) -> Cause:
    """Return what ``cause_to_json`` was given."""
    return Cause(Trigger(data["trigger"]), data["actor"], data["detail"])


def wish_to_json(wish: Wish) -> JsonObject:
    """Return the wish as an object."""
    return {
        "trigger": str(wish.trigger),
        "actor": wish.actor,
        "delivery": wish.delivery,
        "correlation": wish.correlation,
    }


def wish_from_json(data: JsonObject | None) -> Wish | None:
    """Return what ``wish_to_json`` was given; None for a column that holds none."""
    if not data:
        return None
    trigger, correlation = Trigger(data["trigger"]), data.get("correlation", "")
    return Wish(trigger, data["actor"], data["delivery"], correlation)


def hint_to_json(hint: Hint | None) -> JsonObject | None:
    """Return the hint as an object, and a small one: of many branches it is any, of apps all."""
    match hint:
        case PushHint(repository, branches, apps):
            kept = [sorted(some) if len(some) <= _MOST_NAMES else [] for some in (branches, apps)]
            return {"repository": repository, "branches": kept[0], "apps": kept[1]}
        case ImagesHint(images):
            return {"images": [[one.registry, one.repository, one.tag] for one in images]}
        case None:
            return None


def hint_from_json(data: JsonObject | None) -> Hint | None:
    """Return what ``hint_to_json`` was given; None for a column that holds none."""
    if data is None:
        return None
    if "images" in data:
        return ImagesHint(tuple(ImageHint(*one) for one in data["images"]))
    return PushHint(data["repository"], frozenset(data["branches"]), frozenset(data["apps"]))


def failure_to_json(failure: Failure | None) -> JsonObject | None:
    """Return the failure as an object."""
    if failure is None:
        return None
    return {
        "code": failure.code,
        "message": clean_text(failure.message),
        "recovery": str(failure.recovery),
        "remedy": failure.remedy,
        "evidence": {name: clean_text(text) for name, text in failure.evidence.items()},
    }


def failure_from_json(data: JsonObject | None) -> Failure | None:
    """Return what ``failure_to_json`` was given."""
    if data is None:
        return None
    return Failure(
        data["code"], data["message"], Recovery(data["recovery"]), data["remedy"], data["evidence"]
    )


def passed_over_to_json(passed: PassedOver | None) -> JsonObject | None:
    """Return the tip that was not acted on as an object; JSON has no instants, so as text."""
    if passed is None:
        return None
    return {
        "commit": passed.commit.text,
        "code": passed.code,
        "text": clean_text(passed.text),
        "at": passed.at.isoformat(),
        "base": passed.base.text,
    }


def passed_over_from_json(data: JsonObject | None) -> PassedOver | None:
    """Return what ``passed_over_to_json`` was given."""
    if data is None:
        return None
    at = datetime.fromisoformat(data["at"])
    base = CommitSha(data["base"])
    return PassedOver(CommitSha(data["commit"]), data["code"], data["text"], at, base)


def freeze_to_json(freeze: Freeze | None) -> JsonObject | None:
    """Return the freeze as an object; None stays None."""
    if freeze is None:
        return None
    return {
        "by": clean_text(freeze.by),
        "at": freeze.at.isoformat(),
        "reason": clean_text(freeze.reason),
        "until": freeze.until.isoformat() if freeze.until else None,
    }


def freeze_from_json(data: JsonObject | None) -> Freeze | None:
    """Return what ``freeze_to_json`` was given."""
    if data is None:
        return None
    until = datetime.fromisoformat(data["until"]) if data["until"] else None
    return Freeze(data["by"], datetime.fromisoformat(data["at"]), data["reason"], until)


def registration_to_json(registration: Registration | None) -> JsonObject | None:
    """Return the registration as an object."""
    if registration is None:
        return None
    repository = registration.repository
    return {
        "provider": str(repository.provider),
        "api": repository.api,
        "repository": repository.path,
        "hook": registration.hook,
        "url": registration.url,
        "at": registration.at.isoformat(),
    }


def registration_from_json(data: JsonObject | None) -> Registration | None:
    """Return what ``registration_to_json`` was given."""
    if data is None:
        return None
    repository = ForgeRepository(Provider(data["provider"]), data["api"], data["repository"])
    return Registration(repository, data["hook"], data["url"], datetime.fromisoformat(data["at"]))


def moves_to_json(moves: Iterable[Move]) -> list[JsonObject]:
    """Return the moves as objects."""
    return [
        {"commit": move.commit.text, "at": move.at.isoformat(), "announced": move.announced}
        for move in moves
    ]


def moves_from_json(data: Iterable[JsonObject]) -> tuple[Move, ...]:
    """Return what ``moves_to_json`` was given."""
    return tuple(
        Move(CommitSha(one["commit"]), datetime.fromisoformat(one["at"]), one["announced"])
        for one in data
    )


def reasons_to_json(reasons: Iterable[Reason]) -> list[list[str]]:
    """Return (code, text) pairs."""
    return [[str(reason.code), reason.text] for reason in reasons]


def reasons_from_json(data: Iterable[tuple[str, str]]) -> tuple[Reason, ...]:
    """Return what ``reasons_to_json`` was given."""
    return tuple(Reason(ReasonCode(code), text) for code, text in data)


def prepared_to_json(prepared: PreparedRevision) -> JsonObject:
    """Return what applying needs as an object."""
    return {
        "revision": revision_to_json(prepared.revision),
        "targets": [_target_to_json(target) for target in prepared.targets],
        "version": declaration_of_version(prepared.version) if prepared.version else None,
        "manifest": prepared.manifest,
        "manifest_ignored": prepared.manifest_ignored,
        "headline": _headline_to_json(prepared.headline),
    }


def prepared_from_json(data: JsonObject | None) -> PreparedRevision | None:
    """Return what ``prepared_to_json`` was given."""
    if data is None:
        return None
    return PreparedRevision(
        revision_from_json(data["revision"]),
        tuple(map(_target_from_json, data["targets"])),
        version=parse_version_check(version) if (version := data.get("version")) else None,
        manifest=data.get("manifest", ""),
        manifest_ignored=data.get("manifest_ignored", False),
        headline=_headline_from_json(data.get("headline")),
    )


def _headline_to_json(headline: CommitInfo | None) -> JsonObject | None:
    if headline is None:
        return None
    return {
        "commit": headline.commit.text,
        "subject": clean_text(headline.subject),
        "author": clean_text(headline.author),
        "at": headline.at.isoformat(),
    }


def _headline_from_json(data: JsonObject | None) -> CommitInfo | None:
    if data is None:
        return None
    at = datetime.fromisoformat(data["at"])
    return CommitInfo(CommitSha(data["commit"]), data["subject"], data["author"], at)


def drift_to_json(drift: Drift | None) -> JsonObject | None:
    """Return the drift as an object; None stays None."""
    if drift is None:
        return None
    differences = [clean_text(one) for one in drift.differences]
    return {"since": drift.since.isoformat(), "differences": differences}


def drift_from_json(data: JsonObject | None) -> Drift | None:
    """Return what ``drift_to_json`` was given."""
    if data is None:
        return None
    return Drift(datetime.fromisoformat(data["since"]), tuple(data["differences"]))


def _target_to_json(target: PreparedTarget) -> JsonObject:
    return {
        "host": target.host,
        "revision": revision_to_json(target.revision),
        "services": [_service_to_json(service) for service in target.services],
        "compose_file": target.compose_file,
        "extra_files": list(target.extra_files),
        "override_file": target.override_file,
        "rendered_sha256": target.rendered_sha256,
    }


def _target_from_json(data: JsonObject) -> PreparedTarget:
    return PreparedTarget(
        revision=revision_from_json(data["revision"]),
        services=tuple(_service_from_json(service) for service in data["services"]),
        compose_file=data["compose_file"],
        extra_files=tuple(data.get("extra_files", ())),
        override_file=data["override_file"],
        rendered_sha256=data["rendered_sha256"],
        host=HostName(data["host"]),
    )


def _service_to_json(service: PlannedService) -> JsonObject:
    return {
        "name": service.name,
        "pin": _pin_to_json(service.pin),
        "replicas": service.replicas,
        "may_finish": service.may_finish,
        "stateful": service.stateful,
    }


def _service_from_json(data: JsonObject) -> PlannedService:
    return PlannedService(
        ServiceName(data["name"]),
        _pin_from_json(data["pin"]),
        data["replicas"],
        data["may_finish"],
        data.get("stateful", False),
    )


def _pin_to_json(pin: Pin | Built | Release | None) -> JsonObject | None:
    match pin:
        case Built(image, digest):
            return {"built": str(image), "digest": digest.text}
        case Pin(image, digest):
            return {"image": str(image), "digest": digest.text}
        case Release(name, digest):
            return {"release": name, "digest": digest.text}
        case None:
            return None


def _pin_from_json(data: JsonObject | None) -> Pin | Built | Release | None:
    if data is None:
        return None
    digest = Digest(data["digest"])
    if "release" in data:
        return Release(data["release"], digest)
    if "built" in data:
        return Built(ImageReference.parse(data["built"]), digest)
    return Pin(ImageReference.parse(data["image"]), digest)


def sameness(*parts: object) -> str:
    """Return a hash that equal parts share."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def clean_text(text: str) -> str:
    """Return ``text`` as both databases take it: no NUL, nothing that UTF-8 can't write."""
    return text.replace("\0", "␀").encode(errors="replace").decode()
