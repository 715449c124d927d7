"""Who may see what, and the headers that keep a page to its own origin."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from . import users
from .extensions import login_manager

#: what can be seen without signing in; everything else is closed
OPEN = {"account.sign_in", "account.check_password", "static"}

#: what is behind a signed link to a job, for whoever has it
LINKS = {"queues.link", "queues.link_json", "queues.link_part", "queues.link_cancel", "queues.static"}

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def init_app(app: Flask) -> None:
    login_manager.user_loader(users.find)
    app.before_request(require_sign_in)
    app.after_request(add_headers)


def require_sign_in() -> ResponseReturnValue | None:
    """Strangers go to the sign-in page, and from there back to where they wanted to go."""
    if request.endpoint in OPEN | LINKS or current_user.is_authenticated:
        return None
    wanted = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else None
    return redirect(url_for("account.sign_in", next=wanted), 303)


def require_admin() -> None:
    """For `Blueprint.before_request`: pages only an admin may see."""
    if not current_user.is_admin:
        abort(403)


def require_owner(owner_id: int) -> None:
    """A change that only its owner or an admin may make."""
    if current_user.id != owner_id and not current_user.is_admin:
        abort(403)


def safe_address(wanted: str | None) -> str:
    """The address to go to after signing in: a path of this application, never another host."""
    if wanted and wanted.startswith("/") and wanted.isprintable() and "\\" not in wanted:
        parts = urlsplit(wanted)
        if not parts.scheme and not parts.netloc and not wanted.startswith("//"):
            return wanted
    return url_for("library.index")


def add_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response
