"""Bodies of receipts."""

from datetime import datetime
from typing import Any, Self

from reconciler.domain.deployment import Status
from reconciler.domain.receipt import Receipt, ReceiptCheck, parse_content
from reconciler.ports import PublicKey
from reconciler.web.schemas.body import AT, Answer, next_page, said

_HASH = "5d41" * 16
_SIGNATURE = "q83v" * 21 + "qw=="
_PEM = "-----BEGIN PUBLIC KEY-----\nMCow…\n-----END PUBLIC KEY-----\n"
_CONTENT = {"format": "reconciler-receipt/1", "number": 7, "deployment": 42, "project": "shop"}


class ReceiptBody(Answer):
    """One receipt, without what it says."""

    number: int = said("From 1 on, without a gap, over all projects.", 7)
    deployment: int = said("The deployment.", 42)
    project: str = said("Its project, which may be gone.", "shop")
    status: Status = said("How it ended.", "deployed")
    at: datetime = said("When the receipt was written.", AT)
    hash: str = said("SHA-256 of its text: the next receipt names it as `previous`.", _HASH)

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return the body of ``receipt``."""
        return cls(**_named(receipt))


class SignedReceiptBody(ReceiptBody):
    """One receipt, whole: enough to check it without the daemon, but for the key."""

    receipt: dict[str, Any] = said("What it says: `text`, read as JSON.", _CONTENT)
    text: str = said("The very text that was signed.", '{"format":"reconciler-receipt/1","…":"…"}')
    signature: str = said("Ed25519, over the bytes of `text`, in base64.", _SIGNATURE)

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return the body of ``receipt``."""
        return cls(
            **_named(receipt),
            receipt=_content(receipt),
            text=receipt.text,
            signature=receipt.signature,
        )


class ReceiptPage(Answer):
    """Newest first."""

    items: list[ReceiptBody] = said("The receipts.", [])
    next: str | None = next_page()


class ReceiptKeyBody(Answer):
    """What signatures of receipts are checked with."""

    id: str = said("As receipts name it: the first digits of its hash.", "9f3c2a1b00d4e5f6")
    algorithm: str = said("Which signatures they are.", "Ed25519")
    pem: str = said("The public key, as OpenSSL reads it.", _PEM)

    @classmethod
    def of(cls, key: PublicKey) -> Self:
        """Return the body of ``key``."""
        return cls(id=key.id, algorithm="Ed25519", pem=key.pem)


class ReceiptCheckBody(Answer):
    """What looking through all receipts gave."""

    intact: bool = said("Whether nothing was changed, removed, added or put elsewhere.", True)
    receipts: int = said("How many were in order, from the first on.", 7)
    problem: str | None = said("What is wrong with the first that is not in order.", None)

    @classmethod
    def of(cls, check: ReceiptCheck) -> Self:
        """Return the body of ``check``."""
        return cls(intact=check.intact, receipts=check.head.number, problem=check.problem or None)


def _named(receipt: Receipt) -> dict[str, Any]:
    return {
        "number": receipt.number,
        "deployment": receipt.deployment,
        "project": receipt.project,
        "status": receipt.status,
        "at": receipt.at,
        "hash": receipt.head.seal,
    }


def _content(receipt: Receipt) -> dict[str, Any]:
    """Return what it says; nothing of a text that somebody else wrote there."""
    try:
        return dict(parse_content(receipt.text))
    except ValueError:
        return {}
