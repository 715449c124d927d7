#!/usr/bin/env python3
"""Takes the pictures of the panel that README.md and docs/ show: `make pictures`, or

    .venv-tests/bin/python scripts/screenshots.py [FOLDER]

starts the example in a folder of its own, lets its worker work for a while and takes the pages of PICTURES, light and
dark, with the Chromium of the system (CHROMIUM names another).
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "example"
#: What is taken: the name of the file, and the page.
PICTURES = {"panel": "/queues/jobs"}
#: Jobs that have completed, failed for good and still wait when a picture is taken.
COMPLETED, FAILED, PENDING = 300, 1, 100
SETTINGS: dict[str, object] = {"PACE": 0.3, "MAIL_FAILS_EVERY": 3, "QUEUES_GRACE": 1, "QUEUES_BACKOFF": 1}
ACCOUNT = ("ada", "morning-light")
SIZE = {"width": 1240, "height": 780}
PATIENCE = 180
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def main(arguments: list[str]) -> int:
    """Take all pictures into a folder, by default that of the documents."""
    target = Path(arguments[0] if arguments else ROOT / "docs" / "pictures")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, example(data := Path(folder)) as (app, address):
        wait_for_work(app, COMPLETED, FAILED, pending=0)
        wait_for(lambda: app.extensions["queues"].forecast().minutes)  # from then on the panel can tell what to expect
        start(data, "library", "import", str(EXAMPLE / "sample"), "--looks", "14").wait()
        wait_for_work(app, COMPLETED, FAILED, PENDING)
        for path in take(address, target):
            print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return 0


@contextmanager
def example(data: Path) -> Iterator[tuple[Flask, str]]:
    """Serve the example, with a worker at its work."""
    sys.path.insert(0, str(EXAMPLE))
    from pictures import create_app

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = create_app({**SETTINGS, "DATA": str(data)})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if start(data, "library", "demo").wait():
        sys.exit("The example has not started: see above.")
    worker = start(data, "queues", "work", "--processes", "2")
    try:
        yield app, f"http://127.0.0.1:{server.server_port}"
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait()
        server.shutdown()


def start(data: Path, *command: str) -> "subprocess.Popen[bytes]":
    """Start a command of the example."""
    surroundings = {f"PICTURES_{key}": str(value) for key, value in SETTINGS.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "pictures", *command],
        cwd=EXAMPLE,
        env={**os.environ, **surroundings, "PICTURES_DATA": str(data)},
        stdout=subprocess.DEVNULL,
    )


def wait_for_work(app: Flask, completed: int, failed: int, pending: int) -> None:
    """Wait until at least so many jobs stand where."""
    wanted = {"completed": completed, "failed": failed, "pending": pending}
    counts = app.extensions["queues"].counts
    wait_for(lambda: all(counts().statuses[name] >= least for name, least in wanted.items()))


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until this holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            sys.exit(f"The example has not done enough within {PATIENCE} s.")
        time.sleep(0.1)


def take(address: str, target: Path) -> Iterator[Path]:
    """Take each page, light and dark; tells the files."""
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for scheme in SCHEMES:
            page = signed_in(browser, address, scheme)
            for name, place in PICTURES.items():
                page.goto(address + place)
                yield shot(page, target / f"{name}-{scheme}.png")
        browser.close()


def signed_in(browser: Browser, address: str, scheme: Scheme) -> Page:
    """A page of somebody who likes it light or dark."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(f"{address}/sign-in")
    page.fill("[name=name]", ACCOUNT[0])
    page.fill("[name=password]", ACCOUNT[1])
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)
    return page


def shot(page: Page, path: Path) -> Path:
    """Take what is in the window."""
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
