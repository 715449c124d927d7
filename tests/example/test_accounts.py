"""Who gets in, and who sees what."""

import pytest


def test_a_stranger_is_sent_to_sign_in_and_back(library):
    """Every page is closed, and remembers where the stranger wanted to go."""
    client = library.flask.test_client()

    answer = client.get("/outbox")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/outbox"

    answer = client.post("/sign-in?next=/outbox", data={"name": "ben", "password": "evening-light"})
    assert answer.location == "/outbox"


@pytest.mark.parametrize("address", ["/pictures/1/small.webp", "/imports/", "/operations/", "/nowhere"])
def test_nothing_is_open_by_accident(library, address):
    assert library.flask.test_client().get(address).location.startswith("/sign-in")


@pytest.mark.parametrize("name", ["ben", "nobody"])
def test_a_wrong_password_says_the_same_for_every_name(library, name):
    answer = library.flask.test_client().post("/sign-in", data={"name": name, "password": "wrong"})
    assert answer.status_code == 422
    assert "do not belong together" in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "evil",
        "",
    ],
)
def test_signing_in_never_leads_to_another_host(library, target):
    client = library.flask.test_client()
    answer = client.post("/sign-in", query_string={"next": target}, data={"name": "ben", "password": "evening-light"})
    assert answer.location == "/"


def test_passwords_are_kept_as_hashes(library):
    row = library.row("select * from users where name = 'ada'")
    assert row["password_hash"].startswith("scrypt:")


def test_signing_out_ends_the_session(library):
    client = library.signed_in("ben")
    assert client.get("/").status_code == 200
    client.post("/sign-out")
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("address", ["/imports/", "/imports/1", "/operations/"])
def test_pages_of_the_admin_are_forbidden_to_others(library, address):
    answer = library.signed_in("ben").get(address)
    assert answer.status_code == 403
    assert "For admins only" in answer.text


def test_changes_of_the_admin_are_forbidden_to_others(library):
    client = library.signed_in("ben")
    assert client.post("/imports/", data={"folder": "/"}).status_code == 403
    assert client.post("/operations/jobs/1/retry").status_code == 403


@pytest.mark.parametrize("address", ["/sign-in", "/pictures", "/pictures/1/share", "/pictures/1/remove", "/imports/"])
def test_every_change_needs_its_token(make_library, address):
    library = make_library(WTF_CSRF_ENABLED=True)
    answer = library.flask.test_client().post(address, data={"name": "ada"})
    assert answer.status_code == 400
    assert "The form was too old" in answer.text


def test_each_page_keeps_to_its_own_origin(library):
    policy = library.signed_in("ada").get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_key_of_sessions_is_made_once_and_is_private(make_library):
    first, second = make_library(), make_library()
    assert first.flask.secret_key == second.flask.secret_key
    assert (first.data / "secret-key").stat().st_mode & 0o077 == 0
