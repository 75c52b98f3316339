"""Forges, whose APIs are asked to announce pushes here, and told how commits fare."""

from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.commit_status import CommitStatus
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class ForgeHook:
    """A webhook as a forge is to have it: JSON, pushes and tags, certificates checked."""

    url: str
    secret: Secret
    known_as: str = ""  #: the forge's id of one that was made before for an address of ours


@dataclass(frozen=True, slots=True)
class PutHook:
    """What became of it."""

    id: str  #: the forge's own
    created: bool  #: False: it was there, and was brought up to date


class Forges(Protocol):
    """Whatever forge it is. ``token`` is sent to the repository's API alone, and kept nowhere.

    Every method raises ``ForgeError``, and takes at most 15 seconds.
    """

    def put_hook(self, repository: ForgeRepository, token: Secret, hook: ForgeHook) -> PutHook:
        """Make the one webhook with ``hook``'s address, or bring it up to date. Safe to repeat."""
        ...

    def test_hook(self, repository: ForgeRepository, token: Secret, hook_id: str) -> bool:
        """Have the forge send a delivery now; False: it can't be asked to."""
        ...

    def remove_hook(self, repository: ForgeRepository, token: Secret, hook_id: str) -> None:
        """Delete it at the forge. Safe to repeat."""
        ...

    def put_status(self, repository: ForgeRepository, token: Secret, status: CommitStatus) -> None:
        """Tell how a commit fares, with one request. ``find_forge`` tells which forges take it."""
        ...
