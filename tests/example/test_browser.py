"""The example in a real browser, with a real server and a real worker."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from werkzeug.serving import make_server

from tests.support.browsing import PATIENCE
from tests.support.site import eventually

from .conftest import EXAMPLE, PASSWORDS, Library, picture

pytestmark = pytest.mark.browser

SETTINGS = {"MAIL_FAILS_EVERY": 2, "PACE": 0.8, "QUEUES_GRACE": 2}


@pytest.fixture
def address(make_library, request) -> Iterator[str]:
    """Where a library is served, with CSRF protection on and a worker beside it; a test may set its pace."""
    settings = {**SETTINGS, "PACE": getattr(request, "param", SETTINGS["PACE"])}
    library = make_library(TESTING=False, WTF_CSRF_ENABLED=True, **settings)
    server = make_server("127.0.0.1", 0, library.flask, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    worker = start_worker(library, settings)
    yield f"http://127.0.0.1:{server.server_port}"
    worker.terminate()
    assert worker.wait(60) in (0, -signal.SIGTERM)  # the latter before it had begun
    server.shutdown()
    thread.join()
    server.server_close()


def start_worker(library: Library, settings: dict[str, float]) -> "subprocess.Popen[bytes]":
    surroundings = {f"PICTURES_{key}": str(value) for key, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "pictures", "queues", "work", "--processes", "2"],
        cwd=EXAMPLE,
        env={**os.environ, **surroundings, "PICTURES_DATA": str(library.data)},
        stdout=subprocess.DEVNULL,  # its lines are tested elsewhere
    )


class Visitor:
    """A person with a browser of their own; counts what the console complains about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._address = address
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(self._address + path)
        return self.page

    def sign_in(self, name: str) -> None:
        self.go("/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORDS[name])
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Pictures")).to_be_visible()

    def upload(self, *files: Path) -> None:
        self.go("/")
        self.page.get_by_label("Pictures to upload").set_input_files(files)
        self.page.get_by_role("button", name="Upload", exact=True).click()


@pytest.fixture
def visit(browser, address):
    """Open a browser of one's own, signed in."""
    contexts = []

    def open_browser(name: str, **options: object) -> Visitor:
        contexts.append(browser.new_context(**options))
        visitor = Visitor(contexts[-1], address)
        visitor.sign_in(name)
        return visitor

    yield open_browser
    for context in contexts:
        context.close()


@pytest.fixture
def photo_file(tmp_path, photo):
    path = tmp_path / "red-boat.jpg"
    path.write_bytes(photo)
    return path


@pytest.mark.parametrize("address", [3.0], indirect=True, ids=["slow enough to be seen"])
def test_an_upload_turns_from_waiting_into_a_picture_by_itself(visit, photo_file):
    """The page is never loaded again by hand."""
    ben = visit("ben")
    ben.upload(photo_file)
    expect(ben.page.get_by_text(re.compile(r"\d+ % · (small|medium|large)"))).to_be_visible()
    expect(ben.page.get_by_role("img", name="Red boat")).to_be_visible()
    expect(ben.page.get_by_text("Wrote large")).to_be_visible()
    assert ben.complaints == []


def test_a_broken_picture_says_so_by_itself(visit, tmp_path, photo):
    (tmp_path / "torn.jpg").write_bytes(photo[: len(photo) // 2])
    ben = visit("ben")
    ben.upload(tmp_path / "torn.jpg")
    expect(ben.page.get_by_text("The picture cannot be read")).to_be_visible()
    assert ben.complaints == []


def test_a_mail_is_tried_again_and_then_sent(visit, photo_file):
    """Every second attempt fails here."""
    ben = visit("ben")
    ben.upload(photo_file)
    shared = ben.page.url
    for name in ("clara", "dan"):
        ben.page.goto(shared)
        ben.page.get_by_label("To").fill(f"{name}@example.org")
        ben.page.get_by_role("button", name="Send").click()
    second = ben.page.get_by_role("row").filter(has_text="dan@example.org")
    expect(second.get_by_text("tries again in")).to_be_visible()
    expect(second.get_by_text("421 Too many connections")).to_be_visible()
    expect(second.get_by_text("sent", exact=True)).to_be_visible()
    expect(second.get_by_role("cell").nth(2)).to_have_text("2")
    assert ben.complaints == []


@pytest.mark.parametrize("address", [0.2], indirect=True, ids=["at a pace"])
def test_an_import_runs_to_its_end_in_sight(visit):
    ada = visit("ada")
    ada.go("/imports/")
    ada.page.get_by_label("Looks of each picture").fill("3")
    ada.page.get_by_role("button", name="Import").click()
    expect(ada.page.get_by_text("of 48 jobs")).to_be_visible()
    expect(ada.page.get_by_text("100 % · 12 pictures, 3 looks each")).to_be_visible(timeout=3 * PATIENCE)
    expect(ada.page.get_by_text("Everything is there.")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Cancel what is left")).to_have_count(0)
    ada.go("/operations/")
    expect(ada.page.get_by_role("row").filter(has_text="images").get_by_role("cell").last).to_have_text("48")
    expect(ada.page.get_by_text("2 processes, heartbeat")).to_be_visible()
    assert ada.complaints == []


def test_every_button_of_the_features_shows_what_becomes_of_its_jobs(visit, photo_file):
    """All are pressed, and a worker does what they push."""
    ada = visit("ada")
    ada.upload(photo_file)
    ada.go("/features/")
    every = ada.page.locator(".features button").all_inner_texts()
    labels = [label for label in every if label not in ("Make an album", "Give up")]
    for label in labels:
        ada.page.get_by_role("button", name=label, exact=True).click()
        expect(ada.page.locator(".flash")).to_be_visible()
    for name, text in {
        "once": "{'pictures': 1}",
        "turns": "ordered for guest 3",
        "breaking": "picture 3 is on up.example",
        "rights": "{'removed': 0}",
        "walking": "All 1 files were looked for.",
        "committing": "Welcome, Gina!",
        "waiting": "film 1 is dry",
        "hiding": "is no code of four digits",
        "keeping": "81",
    }.items():
        expect(ada.page.locator(f"#jobs-{name}").get_by_text(text).first).to_be_visible()
    ada.page.locator("#jobs-committing").get_by_role("link", name="Welcome a guest").click()
    expect(ada.page.get_by_role("heading", name="Welcome a guest")).to_be_visible()
    assert ada.complaints == []


def test_an_album_is_followed_to_its_end_by_its_link_too(visit, browser, photo_file):
    """Who has the link need not sign in."""
    ben = visit("ben")
    ben.upload(photo_file)
    expect(ben.page.get_by_role("img", name="Red boat")).to_be_visible()
    ben.go("/features/").get_by_role("button", name="Make an album").click()
    link = ben.page.get_by_role("link", name="this link").get_attribute("href")
    expect(ben.page.get_by_role("link", name="Download the album")).to_be_visible()
    expect(ben.page.get_by_text("Completed")).to_be_visible()
    with browser.new_context() as stranger:
        page = stranger.new_page()
        page.goto(link)
        expect(page.get_by_text("Completed")).to_be_visible()
    assert ben.complaints == []


def test_the_admins_pages_are_closed_to_others(visit):
    ben = visit("ben")
    expect(ben.page.get_by_role("link", name="Imports")).to_have_count(0)
    ben.go("/operations/")
    expect(ben.page.get_by_role("heading", name="For admins only")).to_be_visible()


def test_an_admin_opens_the_panel_and_nobody_else_does(visit, photo_file):
    """It is mounted without a line of the example's own."""
    ada = visit("ada")
    ada.upload(photo_file)
    ada.page.get_by_role("link", name="Panel").click()
    expect(ada.page.get_by_role("heading", name="Pending")).to_be_visible()
    ada.page.get_by_role("link", name="Completed").click()
    expect(ada.page.get_by_role("link", name="Make thumbnails").first).to_be_visible()
    assert ada.complaints == []
    ben = visit("ben")
    expect(ben.page.get_by_role("link", name="Panel")).to_have_count(0)
    ben.go("/queues/jobs")
    expect(ben.page.get_by_role("heading", name="Not allowed")).to_be_visible()


def test_no_link_of_a_page_is_dead(visit, photo_file):
    ada = visit("ada")
    ada.upload(photo_file)
    for path in ("/", "/pictures/1", "/outbox", "/features/", "/imports/", "/operations/"):
        page = ada.go(path)
        links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href.split('#')[0])")
        assert [link for link in set(links) if page.request.get(link).status != 200] == []


def test_everything_works_without_javascript(visit, photo_file):
    ben = visit("ben", java_script_enabled=False)
    ben.upload(photo_file)
    image = ben.page.get_by_role("img", name="Red boat")
    eventually(lambda: image.count() or ben.page.get_by_role("link", name="Refresh").click(), what="The picture")
    expect(image).to_be_visible()
    ben.page.get_by_label("To").fill("clara@example.org")
    ben.page.get_by_role("button", name="Send").click()
    expect(ben.page.get_by_text("is on its way to clara@example.org")).to_be_visible()
    ben.page.get_by_role("button", name="Sign out").click()
    expect(ben.page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_the_screen(visit, tmp_path, scheme, width):
    """No page scrolls sideways; a picture of each is kept with the test's files."""
    (tmp_path / "wide.png").write_bytes(picture((1200, 300), "PNG"))
    ada = visit("ada", color_scheme=scheme, viewport={"width": width, "height": 800})
    ada.upload(tmp_path / "wide.png")
    expect(ada.page.get_by_role("img", name="Wide")).to_be_visible()
    ada.page.get_by_label("To").fill("somebody-with-a-rather-long-name@mail.example.org")
    ada.page.get_by_role("button", name="Send").click()
    for name, path in {
        "pictures": "/",
        "picture": "/pictures/1",
        "outbox": "/outbox",
        "features": "/features/",
        "imports": "/imports/",
        "queues": "/operations/",
    }.items():
        page = ada.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png", full_page=True)
    assert ada.complaints == []
