"""What we remember."""

from reconciler.domain.errors.base import ReconcilerError, Recovery


class StoreError(ReconcilerError):
    """The database is locked, full or gone; whatever was under way is abandoned whole."""

    code = "store-unavailable"
    recovery = Recovery.RETRY


class StoreCorrupt(StoreError):
    """The database is missing where there should be one, damaged, or of a newer version."""

    code = "store-corrupt"
    recovery = Recovery.OPERATOR
    remedy = "restore a backup with `reconciler restore`"


class MasterKeyRefused(StoreCorrupt):
    """The master key is missing, is none, or is not the one that the database was sealed with."""

    code = "master-key-refused"
    remedy = "docs/secrets.md says where the key comes from and how it is changed"


class ClaimLost(StoreError):
    """Another worker holds this deployment now; nothing more may be written for it."""

    code = "claim-lost"
