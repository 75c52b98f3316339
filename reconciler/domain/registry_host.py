"""Hosts of registries, as images are named by them."""

from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import ImageReference


def parse_registry_host(text: str, field: str = "registry") -> str:
    """Return the registry's host named by ``text``, with its port if there is one.

    Raises:
        InvalidReference: not one, or not written as image references have it.
    """
    problem = "is not a registry's host like 'registry.example:5000', in lower case"
    try:
        # A host alone could be an image of Docker Hub: only with a path is it a host for sure.
        host = ImageReference.parse(f"{text}/name").registry
    except InvalidReference:
        raise InvalidReference(field, text, problem) from None
    if "/" in text or host != text:
        raise InvalidReference(field, text, problem)
    return host
