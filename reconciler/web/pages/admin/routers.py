"""The routers of the daemon's own pages."""

from fastapi import APIRouter

from reconciler.web.pages.admin import (
    audit,
    backup,
    glance,
    notifications,
    people,
    person,
    settings,
    tokens,
)

ROUTERS: tuple[APIRouter, ...] = (
    glance.reading,
    settings.reading,
    settings.changing,
    people.admitting,
    person.admitting,
    tokens.admitting,
    notifications.reading,
    notifications.changing,
    backup.guarding,
    audit.auditing,
)
