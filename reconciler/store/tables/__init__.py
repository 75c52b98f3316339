"""The tables. Rows are written and read as Core statements, and never leave this package."""

from sqlalchemy import Table

from reconciler.store.tables import (  # noqa: F401  declares them
    access,
    audit,
    deployments,
    evidence,
    installation,
    projects,
    promotions,
)
from reconciler.store.tables.base import Row

METADATA = Row.metadata


def _table(name: str) -> Table:
    return METADATA.tables[name]


PROJECT = _table("project")
PROJECT_STATE = _table("project_state")
SOURCE_HEALTH = _table("source_health")
WATCHED_IMAGE = _table("watched_image")
DEPLOYMENT = _table("deployment")
DEPLOYMENT_TARGET = _table("deployment_target")
APPROVAL = _table("approval")
STAGE = _table("stage")
QUARANTINE = _table("quarantine")
TRIGGER = _table("trigger_record")
LOG_LINE = _table("log_line")
LOG_EXTENT = _table("log_extent")
SETTING = _table("setting")
SECRET = _table("secret")
HOST = _table("host")
HOST_KEY = _table("host_key")
TOKEN = _table("token")
PERSON = _table("person")
SESSION = _table("session")
SIGN_IN_ATTEMPT = _table("sign_in_attempt")
WEBHOOK = _table("webhook")
DELIVERY = _table("delivery")
RELEASE = _table("release_record")
ANNOUNCEMENT = _table("announcement")
ANSWER = _table("answer")
REGISTRY_TROUBLE = _table("registry_trouble")
AUDIT = _table("audit_entry")
RECEIPT = _table("receipt")
CHANNEL = _table("channel")
OUTBOX = _table("outbox")
TOLD = _table("told")
PROMOTION = _table("promotion")
VOTE = _table("vote")
STANDING = _table("standing")
CLUSTER = _table("cluster")
FACT = _table("fact")
