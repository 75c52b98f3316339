"""One setting as the operator sees it, declared with the field that holds its value."""

from dataclasses import dataclass
from typing import Any

from reconciler.config.values import Kind


@dataclass(frozen=True, slots=True)
class Key:
    """One setting as the operator sees it."""

    name: str  #: as in the file, with its table: ``registry.address``
    variable: str  #: of the environment; wins over the file
    kind: Kind
    default: object  #: as TOML has it
    meaning: str
    at_least: int | None = None
    at_most: int | None = None

    def parse(self, value: object) -> object:
        """Return what ``Config`` holds for a TOML value.

        Raises:
            ValueError: wrong type, not allowed, or outside of its limits.
        """
        parsed = self.kind.read(value)
        if isinstance(value, int):
            unit = f" {self.kind.unit}" if self.kind.unit else ""
            if self.at_least is not None and value < self.at_least:
                raise ValueError(f"is below the minimum of {self.at_least}{unit}")
            if self.at_most is not None and value > self.at_most:
                raise ValueError(f"is above the maximum of {self.at_most}{unit}")
        return parsed

    def limits(self) -> str:
        """Return unit, minimum and maximum in words; empty where there are none."""
        facts = [self.kind.unit] if self.kind.unit else []
        if self.at_least is not None:
            facts.append(f"minimum {self.at_least}")
        if self.at_most is not None:
            facts.append(f"maximum {self.at_most}")
        return ", ".join(facts)


def setting(
    kind: Kind,
    default: object,
    meaning: str,
    *,
    limits: tuple[int, int] | None = None,
    name: str = "",
    variable: str = "",
) -> dict[str, Any]:
    """Return the metadata of the field that holds it."""
    at_least, at_most = limits or (None, None)
    return {"key": Key(name, variable, kind, default, meaning, at_least, at_most)}
