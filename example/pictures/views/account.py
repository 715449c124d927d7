"""Signing in and out."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from pictures import security, users

blueprint = Blueprint("account", __name__)


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(security.safe_address(request.args.get("next")), 303)
    return form()


@blueprint.post("/sign-in")
def check_password() -> ResponseReturnValue:
    name = request.form.get("name", "").strip()
    user = users.with_password(name, request.form.get("password", ""))
    if user is None:
        return form("This name and password do not belong together.", name), 422
    login_user(user)
    return redirect(security.safe_address(request.args.get("next")), 303)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    logout_user()
    return redirect(url_for(".sign_in"), 303)


def form(problem: str | None = None, name: str = "") -> str:
    return render_template("sign_in.html", problem=problem, name=name, accounts=users.DEMO_ACCOUNTS)
