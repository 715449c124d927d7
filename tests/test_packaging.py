"""What is shipped: an sdist that builds, and a wheel with everything that the package reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD_SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


@pytest.mark.slow
def test_a_wheel_built_from_the_sdist_is_whole(tmp_path: Path) -> None:
    """Scripts, templates, type marker, catalogues, licence and the plugin of pytest are in it; nothing else is."""
    source = tmp_path / "source"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    subprocess.run([sys.executable, "-c", BUILD_SDIST, tmp_path], cwd=source, check=True, capture_output=True)
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    shown = {name for name in listed.stdout.splitlines() if not name.startswith(".")}
    assert sorted(shown - packed) == [], "tests/run and example/run work from an sdist, too"
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, sdist], check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    assert sorted({name for name in shown if name.startswith("flask_queues/")} - names) == []
    assert "flask_queues/translations/de/LC_MESSAGES/flask_queues.mo" in names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    ours = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert ours == {"flask_queues", "pytest_flask_queues.py"}
