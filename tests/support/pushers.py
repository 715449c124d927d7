"""Processes that push, and what was acknowledged to them."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.support.site import Site


class Pusher:
    """A process that pushes until it is killed."""

    def __init__(self, site: Site, seed: int) -> None:
        self.output = site.folder / f"pushed-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output, self.output.with_suffix(".err").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"import sample; sample.push_for_ever({seed})"],
                cwd=site.folder,
                env=site.environment,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it, at whatever it is."""
        self.process.kill()
        self.process.wait()

    def acknowledged(self) -> list[str]:
        """Ids of the jobs whose push has returned; a line cut short is none."""
        return self.output.read_text().split("\n")[:-1]
