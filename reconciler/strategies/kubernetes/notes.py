"""What a deployment leaves at a workload, as annotations of the workload itself."""

import json
from collections.abc import Mapping
from hashlib import sha256

from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.ports import Work, WorkloadState

_PROJECT = "reconciler/project"
_DEPLOYMENT = "reconciler/deployment"
_COMMIT = "reconciler/commit"
_IMAGES = (
    "reconciler/images"  #: hash of what was set: what somebody else sets is not of that commit
)


def notes_of(work: Work, images: Mapping[str, str], commit: CommitSha | None) -> dict[str, str]:
    """Return what is written beside ``images``, container → image, as they are set."""
    return {
        _PROJECT: work.project.name,
        _DEPLOYMENT: str(work.deployment),
        _COMMIT: str(commit or ""),
        _IMAGES: _hash(images),
    }


def owner_of(state: WorkloadState) -> ProjectName | None:
    """Return the project that set its images last; None: none of ours did."""
    name = state.annotations.get(_PROJECT)
    return ProjectName(name) if name else None


def deployment_of(state: WorkloadState) -> str:
    """Return the number of the deployment that set its images last; empty: none did."""
    return state.annotations.get(_DEPLOYMENT, "")


def commit_of(state: WorkloadState, containers: Mapping[str, object]) -> CommitSha | None:
    """Return the commit of what its template names; None where somebody else set its images."""
    images = {name: state.images.get(name, "") for name in containers}
    commit = state.annotations.get(_COMMIT, "")
    if not commit or state.annotations.get(_IMAGES) != _hash(images):
        return None
    try:
        return CommitSha.parse(commit)
    except InvalidReference:
        return None


def _hash(images: Mapping[str, str]) -> str:
    return sha256(json.dumps(sorted(images.items())).encode()).hexdigest()
