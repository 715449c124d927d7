"""What all templates share: filters, the address of the panel, and the pages that say what went wrong."""

from datetime import datetime, timezone

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from . import imaging, work

EXPLANATIONS = {
    400: ("The form was too old", "Go back, load the page again and send the form once more."),
    403: ("For admins only", "Another account may see this page."),
    404: ("Nothing here", "There is no such page, or what it showed was removed."),
    413: ("Too large", "One upload may have 20 MB in all."),
}


def init_app(app: Flask) -> None:
    app.template_filter("bytes")(in_bytes)
    app.template_filter("ago")(ago)
    app.template_filter("clock")(clock)
    app.template_filter("moment")(moment)
    for helper in (work.saying, work.outcome, work.masked, work.name_of):
        app.template_global()(helper)
    app.jinja_env.globals["sizes"] = imaging.SIZES
    app.context_processor(lambda: {"panel": panel_address(app)})
    app.register_error_handler(HTTPException, explain)
    app.register_error_handler(CSRFError, explain)


def panel_address(app: Flask) -> str | None:
    """Where the panel of Flask-Queues is."""
    prefix = app.config.get("QUEUES_URL_PREFIX", "/queues")
    return prefix if any(rule.rule.startswith(f"{prefix}/") for rule in app.url_map.iter_rules()) else None


def explain(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    title, advice = EXPLANATIONS.get(code, (error.name, error.description or ""))
    return render_template("error.html", title=title, advice=advice), code


def in_bytes(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def ago(moment: datetime | str | None) -> str:
    """How long ago, in one unit. Text comes from SQLite, in UTC."""
    if moment is None:
        return ""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)
    seconds = max(0, round((datetime.now(timezone.utc) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")


def moment(time: datetime | None) -> str:
    """A time that may be far off, on this machine's clock."""
    return time.astimezone().strftime("%a %H:%M, %d %B") if time else "never"
