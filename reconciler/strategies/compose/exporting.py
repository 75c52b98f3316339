"""The files of exactly one commit, apart from every work tree, and what an operator added."""

from pathlib import Path

from reconciler.domain.errors import InvalidComposeFile
from reconciler.domain.project import ProjectKind
from reconciler.ports import ComposeReader, Exports, Work
from reconciler.strategies.compose.assessment import generated_of, variables_of
from reconciler.strategies.compose.checkout import DEPLOY_FOLDER, Checkout
from reconciler.strategies.compose.deploy_folder import DeployFolderHere
from reconciler.strategies.compose.place import Place


def export(
    work: Work,
    place: Place,
    commits: Exports,
    reader: ComposeReader,
    own: Path,
    paths: tuple[str, ...],
) -> Checkout:
    """Write the files of exactly the commit into ``own``, and what an operator added to them.

    The folder's name is the host's: hosts are prepared side by side.

    Args:
        work: whose revision it is.
        place: where an operator may have added environment files.
        commits: where the commit is brought first.
        reader: reads the compose files.
        own: an empty folder.
        paths: the compose files, the last of which wins.
    """
    project, commit, into = work.project, work.revision.commit, own / work.target.host
    into.mkdir()
    path, *extra = paths
    checkout = Checkout(into, path, reader, tuple(extra))
    if project.kind is ProjectKind.IMAGE:
        kept = place.read((path,)).get(path)
        text = kept.decode() if kept else generated_of(work)
        DeployFolderHere(into).write(Path(path).name, text)
        return checkout
    if project.source is None or commit is None:
        raise InvalidComposeFile(f"project {project.name} has no commit to deploy")
    commits.fetch(project.name, project.source, commit, work.credentials)
    commits.export(project.name, commit, into)
    deploy = into / DEPLOY_FOLDER
    if deploy.is_symlink() or deploy.exists():
        raise InvalidComposeFile(
            f"the repository has a {DEPLOY_FOLDER} of its own; that name is ours: rename it"
        )
    return checkout.borrow(place.read(checkout.missing_environment(variables_of(work))))
