"""What a single image is run with: its ports and named volumes, in compose's short syntax."""

import re

from reconciler.domain.errors import InvalidInput

_MOST_ENTRIES = 100
_PORT = re.compile(
    r"(?:(?P<address>(?:\d{1,3}\.){3}\d{1,3}|\[[0-9A-Fa-f:]{2,39}\]):)?"
    r"(?:(?P<host>\d{1,5}(?:-\d{1,5})?):)?(?P<container>\d{1,5}(?:-\d{1,5})?)(?:/(?:tcp|udp))?",
    re.ASCII,
)
_VOLUME = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,127}):(?P<path>/[A-Za-z0-9._/@+-]{1,512})(?::(?:ro|rw))?"
)


def parse_ports(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``texts`` if each is a port in compose's short syntax.

    Source: Compose specification, ``05-services.md``, "ports", short syntax.

    Raises:
        InvalidInput: naming the first that is not, as ``ports.<index>``.
    """
    check_number("ports", texts)
    for at, text in enumerate(texts):
        match = _PORT.fullmatch(text)
        if not (
            match
            and _address_ok(match["address"])
            and _ranges_ok(match["host"], match["container"])
        ):
            problem = "is not a port like '8080:80', '127.0.0.1:8080:80' or '53:53/udp'"
            raise InvalidInput(f"ports.{at}", text, problem)
    return texts


def _address_ok(address: str | None) -> bool:
    if address is None or address.startswith("["):
        return True
    return all(int(part) <= 255 for part in address.split("."))


def _ranges_ok(host: str | None, container: str) -> bool:
    inside = _range(container)
    outside = _range(host) if host else inside
    return (
        all(1 <= port <= 65535 for port in (*inside, *outside))
        and inside[0] <= inside[1]
        and outside[1] - outside[0] == inside[1] - inside[0]
    )


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def parse_volumes(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``texts`` if each mounts a named volume; folders of the machine are not given away.

    Raises:
        InvalidInput: naming the first that does not, as ``volumes.<index>``.
    """
    check_number("volumes", texts)
    for at, text in enumerate(texts):
        match = _VOLUME.fullmatch(text)
        if not match or {"..", "."} & set(match["path"].split("/")):
            problem = (
                "is not a named volume like 'data:/var/lib/app'; folders of the machine are not"
            )
            raise InvalidInput(f"volumes.{at}", text, problem)
    return texts


def check_number(field: str, entries: tuple[str, ...]) -> None:
    """Raise ``InvalidInput`` where a list is too long."""
    if len(entries) > _MOST_ENTRIES:
        raise InvalidInput(field, len(entries), f"entries are more than {_MOST_ENTRIES}")
