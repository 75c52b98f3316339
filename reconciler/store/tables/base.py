"""What every table is made of."""

from typing import Any

from sqlalchemy import JSON, Column, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

#: Every constraint has a name, so that a later migration can find it on either database.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: A column's value as JSON holds it: objects, arrays, texts, numbers.
Json = Any


def as_json(*, nullable: bool = False) -> Any:
    """Return a column of JSON."""
    return Field(sa_column=Column(JSON(none_as_null=True), nullable=nullable))


def of_project(*, primary_key: bool = False) -> Any:
    """Return a column that names a project, and whose row goes with it."""
    return Field(foreign_key="project.name", ondelete="CASCADE", primary_key=primary_key)


def of_deployment(*, primary_key: bool = False) -> Any:
    """Return a column that names a deployment, and whose row goes with it."""
    return Field(foreign_key="deployment.id", ondelete="CASCADE", primary_key=primary_key)


class Row(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """A table of ours, in metadata of its own."""
