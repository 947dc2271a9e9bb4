"""What a user installs: every module, schema and page is in the wheel, also when the wheel is made from the sdist."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import penstock

ROOT = Path(__file__).resolve().parents[2]


def _build(target: str, source: Path, out: Path) -> Path:
    """By the build back end itself: no network, no isolated environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl" if target == "wheel" else "*.tar.gz"))


def _expected() -> set[str]:
    modules = {f"penstock/{path.relative_to(ROOT / 'services')}" for path in (ROOT / "services").rglob("*.py")}
    folder = ROOT / "schemas" / "avro"
    schemas = {f"penstock/messages/avro/{path.relative_to(folder)}" for path in folder.rglob("*.avsc")}
    pages = {f"penstock/{path.relative_to(ROOT / 'services')}" for path in _pages()}
    assert len(modules) > 50
    assert len(schemas) > 10
    assert len(pages) > 20
    others = {"penstock/cli/broker/broker.lock.toml", "penstock/history/schema.graphql", "penstock/py.typed"}
    return modules | schemas | pages | others


def _pages() -> list[Path]:
    """Templates and assets of the dashboard."""
    folder = ROOT / "services" / "dashboard"
    return [path for part in ("templates", "assets") for path in (folder / part).iterdir()]


def _content(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_has_every_module_and_schema_and_nothing_else(tmp_path: Path) -> None:
    """The folders of a checkout become the package, completely."""
    assert _content(_build("wheel", ROOT, tmp_path)) == _expected()


def test_a_wheel_made_from_the_sdist_is_as_complete(tmp_path: Path) -> None:
    """Archives drop links: the wheel must not depend on `src/penstock`."""
    with tarfile.open(_build("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    source = next((tmp_path / "unpacked").iterdir())
    assert _content(_build("wheel", source, tmp_path / "wheel")) == _expected()


def test_the_checkout_imports_its_own_folders() -> None:
    """`src/penstock` leads to `services`, and that is what an editable install imports (not a copy of it)."""
    link = ROOT / "src" / "penstock"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "services"
    assert Path(penstock.__path__[0]).resolve() == ROOT / "services"
