"""The routers of all pages."""

from fastapi import APIRouter

from reconciler.web.pages import about, statics, switch
from reconciler.web.pages.acts import (
    auto,
    cancelling,
    deploying,
    pausing,
    promoting,
    quarantine,
    rolling_back,
    voting,
)
from reconciler.web.pages.admin import routers as admin
from reconciler.web.pages.coming_in import entering, me
from reconciler.web.pages.deliveries import page as deliveries
from reconciler.web.pages.deployment import listing as deployments
from reconciler.web.pages.deployment import log
from reconciler.web.pages.deployment import page as deployment
from reconciler.web.pages.hosts import clusters
from reconciler.web.pages.hosts import keys as host_keys
from reconciler.web.pages.hosts import new as new_host
from reconciler.web.pages.hosts import page as hosts
from reconciler.web.pages.new_project import adopting
from reconciler.web.pages.new_project import page as new_project
from reconciler.web.pages.overview import page as overview
from reconciler.web.pages.project import page as project
from reconciler.web.pages.project import records as project_records
from reconciler.web.pages.project_settings.routers import ROUTERS as SETTINGS
from reconciler.web.pages.registries import page as registries

ROUTERS: tuple[APIRouter, ...] = (
    about.open_to_all,
    statics.open_to_all,
    entering.open_to_all,
    entering.known,
    me.known,
    new_project.declaring,
    adopting.declaring,
    overview.listing,
    project.reading,
    project_records.reading,
    *SETTINGS,
    deployments.listing,
    deployment.reading,
    log.reading,
    switch.switching,
    deliveries.listing,
    deliveries.reading,
    deliveries.triggering,
    auto.changing,
    cancelling.withdrawing,
    deploying.triggering,
    pausing.triggering,
    promoting.triggering,
    quarantine.triggering,
    rolling_back.triggering,
    voting.triggering,
    hosts.reading,
    hosts.checking,
    hosts.changing,
    host_keys.reading,
    host_keys.changing,
    new_host.changing,
    clusters.reading,
    clusters.checking,
    clusters.changing,
    registries.reading,
    registries.asking,
    registries.entrusting,
    *admin.ROUTERS,
)
