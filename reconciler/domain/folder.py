"""Folders on hosts that an operator may give to a project."""

import re

from reconciler.domain.errors import InvalidReference
from reconciler.domain.host import HostPath

_LONGEST = 500
#: Nothing in it that a shell, a unit file or rsync reads otherwise.
_SEGMENT = re.compile(r"[A-Za-z0-9._@+-]{1,255}")
#: Everything on a host shares them; a folder below can be a project's own.
_SHARED = re.compile(
    r"/(?:home|media|mnt|opt(?:/apps)?|root|srv|tmp|usr/local"
    r"|var(?:/(?:cache|lib|local|log|opt|tmp))?)?"
)
#: The system's own, with all that is below; ``/usr/local`` apart.
_SYSTEM = re.compile(
    r"/(?:bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|usr(?!/local/)|var/run"
    r"|var/lib/docker)(?:/.*)?"
)


def parse_image_folder(text: str, field: str = "image_folder") -> HostPath:
    """Return ``text`` as a folder in an image. Raises ``InvalidReference``."""
    segments = text.rstrip("/").split("/")[1:]
    plain = all(_SEGMENT.fullmatch(one) and one.strip(".") for one in segments)
    if not text.startswith("/") or not segments or not plain or len(text) > _LONGEST:
        raise InvalidReference(field, text, "must be an absolute path in the image, like '/app'")
    return HostPath(text.rstrip("/"))


def parse_folder(text: str, field: str = "folder") -> HostPath:
    """Return ``text`` as a folder of a project's own on a host; a slash at its end is dropped.

    Raises:
        InvalidReference: not absolute, with odd characters, or what belongs to the system.
    """
    path = text.rstrip("/") or "/"
    segments = path.split("/")[1:]
    odd = path != "/" and not all(_SEGMENT.fullmatch(segment) for segment in segments)
    if not text.startswith("/") or odd or {".", ".."} & set(segments) or len(path) > _LONGEST:
        problem = "must be an absolute path like '/opt/apps/shop', of letters, digits and '._@+-'"
        raise InvalidReference(field, text, problem)
    if _SHARED.fullmatch(path) or _SYSTEM.fullmatch(path):
        problem = "belongs to the system; name a folder of the project's own like '/opt/apps/shop'"
        raise InvalidReference(field, text, problem)
    return HostPath(path)
