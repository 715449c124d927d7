"""The people who may sign in."""

from dataclasses import dataclass
from functools import cache
from secrets import token_hex

from flask import Flask
from werkzeug.security import check_password_hash, generate_password_hash

from . import database


@dataclass(frozen=True)
class User:
    """What Flask-Login needs to know of a person, and `is_admin`, which the panel asks for."""

    id: int
    name: str
    is_admin: bool

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        return str(self.id)


@dataclass(frozen=True)
class DemoAccount:
    name: str
    password: str
    is_admin: bool


#: their passwords stand on the sign-in page: this is an example
DEMO_ACCOUNTS = (
    DemoAccount("ada", "morning-light", is_admin=True),
    DemoAccount("ben", "evening-light", is_admin=False),
)


def init_app(app: Flask) -> None:
    with app.app_context():
        add_demo_accounts()


def find(user_id: str) -> User | None:
    """The user a session cookie names."""
    row = database.one("select * from users where id = ?", user_id)
    return as_user(row) if row else None


def named(name: str) -> User | None:
    row = database.one("select * from users where name = ?", name)
    return as_user(row) if row else None


def first_admin() -> User | None:
    row = database.one("select * from users where is_admin order by id limit 1")
    return as_user(row) if row else None


def with_password(name: str, password: str) -> User | None:
    """The user of this name if the password is theirs. An unknown name takes as long as a wrong password."""
    row = database.one("select * from users where name = ?", name)
    right = check_password_hash(row["password_hash"] if row else nobody(), password)
    return as_user(row) if row and right else None


def as_user(row: database.Row) -> User:
    return User(row["id"], row["name"], bool(row["is_admin"]))


def add(name: str, password: str, is_admin: bool = False) -> None:
    """Does nothing where the name is taken."""
    database.change(
        "insert into users (name, password_hash, is_admin) values (?, ?, ?) on conflict do nothing",
        name,
        generate_password_hash(password),
        is_admin,
    )


def add_demo_accounts() -> None:
    for account in DEMO_ACCOUNTS:
        if named(account.name) is None:
            add(account.name, account.password, account.is_admin)


@cache
def nobody() -> str:
    """A hash that no password fits."""
    return generate_password_hash(token_hex())
