"""What pyproject.toml cannot say: a package in a folder of another name, and compiled catalogues."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithCatalogues(build_py):
    """Compiles the catalogues (Babel's compile_catalog, see setup.cfg) before files are gathered."""

    def run(self) -> None:
        self.run_command("compile_catalog")
        super().run()


setup(
    packages=[*find_packages(include=["flask_queues", "flask_queues.*"]), "flask_queues.translations"],
    py_modules=["pytest_flask_queues"],
    package_dir={"flask_queues.translations": "translations"},
    cmdclass={"build_py": BuildWithCatalogues},
)
