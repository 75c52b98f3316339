"""Projects that have much in common: each extends a template, and a template another. Pure."""

from collections.abc import Mapping

from reconciler.domain.errors import InvalidInput
from reconciler.pipeline.declaring.fleet.entries import Values

_MOST_LEVELS = 10


def with_inherited(values: Values, templates: Mapping[str, Values], path: str) -> Values:
    """Return ``values`` on top of those of the template that they extend, and of its own.

    A field counts as a whole; targets are put together host by host, and field by field.

    Raises:
        InvalidInput: there is no such template, they go round in a circle, or are too many.
    """
    layers, chain = [values], list[str]()
    while (name := layers[-1].get("extends")) is not None:
        assert isinstance(name, str)  # noqa: S101  read as text
        chain.append(name)
        if name in chain[:-1]:
            problem = f"goes round in a circle: {' → '.join(chain)}"
            raise InvalidInput(f"{path}.extends", chain[0], problem)
        if name not in templates:
            known = ", ".join(list(templates)[:10]) or "none"
            raise InvalidInput(f"{path}.extends", name, f"is no template here; there are {known}")
        if len(chain) > _MOST_LEVELS:
            problem = f"has more than {_MOST_LEVELS} templates one on top of the other"
            raise InvalidInput(f"{path}.extends", chain[0], problem)
        layers.append(templates[name])
    merged: Values = {}
    for layer in reversed(layers):
        merged = _on_top(layer, merged)
    merged.pop("extends", None)
    return merged


def _on_top(values: Values, below: Values) -> Values:
    merged = {**below, **values}
    ours, theirs = values.get("targets"), below.get("targets")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged["targets"] = {
            host: {**theirs.get(host, {}), **ours.get(host, {})} for host in {**theirs, **ours}
        }
    return merged
