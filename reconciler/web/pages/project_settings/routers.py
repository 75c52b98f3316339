"""The routers of a project's settings; the one that takes any section's name comes last."""

from fastapi import APIRouter

from reconciler.web.pages.project_settings import (
    declaration,
    deliveries,
    removal,
    secrets,
    targets,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    deliveries.reading,
    deliveries.trying,
    targets.changing,
    targets.placing,
    secrets.keeping,
    webhooks.changing,
    removal.removing,
    declaration.reading,
    declaration.changing,
)
