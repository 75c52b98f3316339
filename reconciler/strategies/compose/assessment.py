"""What compose makes of a project's files, judged before anything is done with it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.host import LOCAL
from reconciler.domain.project import Project, ProjectKind
from reconciler.domain.references import CommitSha
from reconciler.domain.revision import Revision
from reconciler.domain.secret import Secret
from reconciler.ports import Work
from reconciler.strategies.compose.checkout import Checkout
from reconciler.strategies.compose.cli import ComposeCall, ComposeCli
from reconciler.strategies.compose.deploy_folder import generated_path, generated_text
from reconciler.strategies.compose.policy import Policy
from reconciler.strategies.compose.private import Private, write_text, write_variables
from reconciler.strategies.compose.rendering import Rendering, parse_rendering


@dataclass(frozen=True, slots=True)
class Site:
    """Where compose reads the files of a checkout: here, or in the work tree on a host."""

    root: Path
    private: Private
    cli: ComposeCli
    policy: Policy


@dataclass(frozen=True, slots=True)
class Assessment:
    """Files that were followed, rendered and judged, and how compose is called on them."""

    rendering: Rendering
    grants: tuple[str, ...]
    call: ComposeCall
    environment: Mapping[str, Secret]  #: what variables in the files resolve to
    sha256: str  #: of the rendering, its place and its secrets left out


def assess(work: Work, checkout: Checkout, site: Site) -> Assessment:
    """Follow, render and judge the files of ``checkout`` as they are at ``site``.

    Raises:
        InvalidComposeFile: they can't be deployed as they stand, or reach what they must not.
    """
    examined = checkout.examine(variables_of(work))
    if examined.host_files and work.target.host != LOCAL:
        where, path = examined.host_files[0]
        raise InvalidComposeFile(
            f"{where}: {path!r} would be read on another machine than {work.target.host}; "
            "name a file beside the compose file, where it may stay untracked"
        )
    # Before compose reads them: what it can't parse it quotes.
    readings = site.policy.readings(examined.host_files)
    if site.root != checkout.root:
        # All others are of the commit, or were read there.
        unread = [path for path in examined.opened if not (checkout.root / path).exists()]
        site.policy.require_inside(unread)
    # As we read ``.env``, so that there is one reading of it.
    environment = {name: Secret.of(value) for name, value in examined.environment.items()}
    call = ComposeCall(
        project=work.project.name,
        folder=(site.root / checkout.compose_path).parent,
        files=tuple(site.root / path for path in (checkout.compose_path, *checkout.extra_paths)),
        environment_file=write_variables(site.private, environment),
        docker_config=site.private.folder,
    )
    rendering = parse_rendering(site.cli.render(call, work.cancel), examined)
    grants = (*readings, *site.policy.grants(rendering))
    sha256 = rendering.sha256(site.root, work.variables)
    return Assessment(rendering, grants, call, environment, sha256)


def in_base(assessed: Assessment, compose_file: Path, private: Private) -> Assessment:
    """Return ``assessed``, to be called on what was rendered, as if ``compose_file`` said that.

    Compose reads included and extended files where relative paths start from: from the base, and
    there they may be others than those of the commit.
    """
    text = json.dumps(assessed.rendering.document)
    call = replace(
        assessed.call,
        folder=compose_file.parent,
        files=(write_text(private, "compose.json", text),),
        environment_file=Path(os.devnull),
        docker_config=private.folder,
    )
    return replace(assessed, call=call)


def variables_of(work: Work) -> dict[str, str]:
    """Return the project's variables: the target's own, then the secret ones, which win."""
    secret = {name: value.reveal() for name, value in work.variables.items()}
    return {**work.target.environment, **secret}


def commit_of(project: Project, revision: Revision) -> CommitSha | None:
    """Return the commit whose files are deployed.

    Those of an ``image`` project are made here, also where a commit is told of what it runs.
    """
    return None if project.kind is ProjectKind.IMAGE else revision.commit


def compose_paths_of(work: Work) -> tuple[str, ...]:
    """Return the compose files, the last of which wins."""
    if work.project.kind is ProjectKind.IMAGE:
        return (generated_path(work.deployment),)
    return (work.project.compose_path, *work.target.compose_files)


def generated_of(work: Work) -> str:
    """Return the compose file of an ``image`` project."""
    return generated_text(work.project, variables_of(work))
