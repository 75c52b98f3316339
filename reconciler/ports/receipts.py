"""What is kept of how deployments ended, signed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.deployment import DeploymentId, Status
from reconciler.domain.receipt import Receipt, ReceiptCheck, ReceiptKey
from reconciler.domain.references import ProjectName


class PublicKey(ReceiptKey, Protocol):
    """What anybody may have, to check signatures with."""

    @property
    def pem(self) -> str:
        """Return it as a file."""
        ...


class Signer(PublicKey, Protocol):
    """The key that receipts are signed with."""

    def sign(self, text: str) -> str:
        """Return the signature of ``text``, in base64; always the same one."""
        ...


@dataclass(frozen=True, slots=True)
class ReceiptQuery:
    """Which receipts are wanted; empty fields leave nothing out."""

    project: ProjectName | None = None
    statuses: Sequence[Status] = ()
    among: Collection[str] | None = None  #: only of these projects; None: of all
    before: int | None = None  #: only older ones
    limit: int = 50


class ReceiptStore(Protocol):
    """The receipts of all deployments that ended: one chain. None is ever changed or dropped."""

    def list_receipts(self, query: ReceiptQuery) -> Sequence[Receipt]:
        """Return them, newest first."""
        ...

    def get_receipt(self, deployment: DeploymentId) -> Receipt:
        """Return the one of a deployment. Raises ``NotFound``: it goes on, or never was."""
        ...

    def read_receipts(
        self, *, after: int, limit: int, among: Collection[str] | None = None
    ) -> Sequence[Receipt]:
        """Return those that follow number ``after``, oldest first."""
        ...

    def check_receipts(self) -> ReceiptCheck:
        """Look through all of them."""
        ...

    def receipt_key(self) -> PublicKey:
        """Return what their signatures are checked with."""
        ...
