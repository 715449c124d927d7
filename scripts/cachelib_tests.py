"""Puts the tests that cachelib runs on its own caches into an environment, as the package ``cachelib_tests``.

They are in cachelib's source distribution only, so that is what is fetched: of the very version the
environment has, checked against the hash in the requirements. A test of ours then says

    pytest.register_assert_rewrite("cachelib_tests")
    from cachelib_tests.clear import ClearTests
    from cachelib_tests.common import CommonTests
    from cachelib_tests.has import HasTests
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from environment import ROOT, SetupError, pip, run, say

PACKAGE = "cachelib_tests"


def ensure(python: Path, requirements: str) -> None:
    """Fetch the tests into the environment of `python`, unless they are there."""
    version, site_packages = _ask(python)
    folder = Path(site_packages) / PACKAGE
    if (folder / "__init__.py").exists():
        return
    say(f"fetching the tests of cachelib {version}, to run them on our cache")
    with tempfile.TemporaryDirectory() as temporary:
        archive = _download(python, _pin(ROOT / requirements, version), Path(temporary))
        _unpack(archive, folder)
    (folder / "__init__.py").write_text(f'"""The tests of cachelib {version}."""\n')


def _ask(python: Path) -> tuple[str, str]:
    code = (
        "import importlib.metadata, sysconfig;"
        "print(importlib.metadata.version('cachelib'), sysconfig.get_path('purelib'), sep='\\n')"
    )
    version, site_packages = subprocess.check_output([python, "-c", code], text=True).splitlines()
    return version, site_packages


def _pin(requirements: Path, version: str) -> str:
    """Return the requirement with its hashes as it stands in the locked file, without its marker."""
    lines = rf"^cachelib=={re.escape(version)}[ ](?:.*\\\n)*.*"
    found = re.search(lines, requirements.read_text(), re.MULTILINE)
    if found is None:
        raise SetupError(f"{requirements} does not pin cachelib {version}: run scripts/lock.")
    return re.sub(r" ;[^\\\n]*", " ", found[0])


def _download(python: Path, pin: str, target: Path) -> Path:
    (target / "requirements.txt").write_text(pin)
    sources_only = ["--no-deps", "--no-binary", "cachelib"]
    file = ["--require-hashes", "--requirement", str(target / "requirements.txt")]
    failure = run([*pip(python, "download"), *sources_only, "--dest", str(target), *file])
    archives = list(target.glob("cachelib-*.tar.gz"))
    if failure or len(archives) != 1:
        raise SetupError(f"{failure}\nThe source distribution of cachelib could not be fetched: see above.")
    return archives[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Take the mixins and their conftest; leave the test modules, which are of other caches."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive) as files:
        for member in files:
            path = Path(member.name)
            content = files.extractfile(member)
            if path.match("*/tests/*.py") and not path.name.startswith("test_") and content is not None:
                # Theirs are top-level modules, as our conftest may be: within a package the two cannot meet.
                text = content.read().decode().replace("from conftest import", "from .conftest import")
                (folder / path.name).write_text(text)


if __name__ == "__main__":
    ensure(Path(sys.executable), "requirements/dev.txt")
