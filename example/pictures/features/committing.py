"""A push that waits for the commit of Flask-SQLAlchemy's session, and is dropped by a rollback: after_commit."""

from flask import Flask
from sqlalchemy.orm import Mapped, mapped_column

from flask_queues import Discard
from flask_queues.signals import child_started
from pictures.extensions import db, queues


class Guest(db.Model):  # type: ignore[misc, name-defined]
    """Somebody who has written into the guest book."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@queues.job("pictures:welcome", name="Welcome a guest")
def welcome(guest_id: int) -> str:
    """Finds its row for sure: no worker sees the job before the row is there."""
    guest = db.session.get(Guest, guest_id)
    if guest is None:
        raise Discard("the guest has left")
    return f"Welcome, {guest.name}!"


def sign() -> str:
    guest = add("Gina")
    db.session.commit()  # stored now
    return f"Guest {guest.id} and the job are stored."


def change_mind() -> str:
    add("Nobody")
    db.session.rollback()
    return "Rolled back: neither the guest nor the job was stored."


def add(name: str) -> Guest:
    guest = Guest(name=name)
    db.session.add(guest)
    db.session.flush()
    welcome.using(after_commit=True).push(guest_id=guest.id)
    return guest


def init_app(app: Flask) -> None:
    child_started.connect(drop_connections, app)
    with app.app_context():
        db.create_all()
        db.engine.dispose()


def drop_connections(app: Flask, **_more: object) -> None:
    """What the worker opened before its fork is not for the child."""
    with app.app_context():
        db.engine.dispose(close=False)
