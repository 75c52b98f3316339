"""What the wired daemon does before it starts: nothing of it talks to anybody."""

from pathlib import Path

from reconciler.app.wiring import build
from reconciler.config import load_config


def environment(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "RECONCILER_DATA_FOLDER": str(folder / "data"),
        "RECONCILER_DOCKER_SOCKET": str(folder / "no-engine.sock"),
    }


def test_what_a_killed_daemon_left_for_compose_is_gone_at_the_start(tmp_path: Path) -> None:
    """Secrets of a deployment that nobody takes up again do not stay on the disk."""
    left = tmp_path / "data" / "private" / "shop" / "x" / "variables.env"
    left.parent.mkdir(parents=True)
    left.write_text("TOKEN=secret\n")
    application = build(load_config(environment=environment(tmp_path)))
    with application.resources:
        application.daemon.on_start()
    assert not left.exists()


def test_projects_files_are_closed_to_others_in_a_folder_that_is_open(tmp_path: Path) -> None:
    """A data folder that was made by hand, or by systemd, may be entered by everybody."""
    (tmp_path / "data" / "projects").mkdir(parents=True, mode=0o755)
    with build(load_config(environment=environment(tmp_path))).resources:
        pass
    assert (tmp_path / "data" / "projects").stat().st_mode & 0o777 == 0o700


def test_an_installation_without_a_name_is_given_one(tmp_path: Path) -> None:
    """A power cut may leave the file empty; it would release every replica's work."""
    life = tmp_path / "data" / "life"
    for _ in range(2):
        with build(load_config(environment=environment(tmp_path))).resources:
            assert len(life.read_text()) == 16
        life.write_text("")
