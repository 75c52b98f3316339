"""The settings that change live, with their defaults and minimums."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.domain.errors import InvalidInput

MASTER_SWITCH = "auto_deploy_master_enabled"
POLL_INTERVAL = "auto_deploy_poll_interval_seconds"
IMAGE_WATCH_INTERVAL = "auto_deploy_image_watch_interval_seconds"


@dataclass(frozen=True, slots=True)
class Setting:
    """One live setting."""

    key: str
    default: bool | int
    meaning: str
    minimum: int | None = None  #: None for a switch

    def parse(self, value: object) -> bool | int:
        """Return ``value`` if it is of this setting's type and not below its minimum.

        Raises:
            InvalidInput: it is neither replaced nor rounded in silence.
        """
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise InvalidInput(self.key, value, "must be true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(self.key, value, "must be whole seconds")
        if self.minimum is not None and value < self.minimum:
            raise InvalidInput(self.key, value, f"is below the minimum of {self.minimum} seconds")
        if value > LONGEST_SECONDS:
            raise InvalidInput(
                self.key, value, f"is above the maximum of {LONGEST_SECONDS} seconds"
            )
        return value


LONGEST_SECONDS = 7 * 24 * 3600

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        setting.key: setting
        for setting in (
            Setting(MASTER_SWITCH, True, "whether anything deploys by itself"),
            Setting(POLL_INTERVAL, 60, "between two looks at an external repository", minimum=10),
            Setting(IMAGE_WATCH_INTERVAL, 600, "between two looks at the registries", minimum=60),
        )
    }
)


def find_setting(key: str) -> Setting:
    """Return the setting named ``key``.

    Raises:
        InvalidInput: there is none.
    """
    if setting := SETTINGS.get(key):
        return setting
    raise InvalidInput("setting", key, f"is not one of {', '.join(SETTINGS)}")
