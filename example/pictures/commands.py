"""`flask library import` and `flask library demo`."""

import io
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup
from PIL import Image, ImageDraw, ImageOps

from . import imaging, imports, jobs, library, outbox, sending, users

group = AppGroup("library", help="Work on the picture library.")


def init_app(app: Flask) -> None:
    app.cli.add_command(group)


@group.command("import")
@click.argument("folder")
@click.option("--looks", default=0, show_default=True, help="How many looks to make of each picture.")
def import_command(folder: str, looks: int) -> None:
    """Import the pictures of FOLDER, which IMPORT_FOLDERS must allow."""
    try:
        import_id = start_import(folder, looks)
    except imports.FolderError as problem:
        raise click.ClickException(f"{problem}.") from problem
    click.echo(f"Pushed import {import_id} of {folder}.")


@group.command("send")
@click.argument("file")
@click.argument("recipient")
def send_command(file: str, recipient: str) -> None:
    """Take one picture FILE into the library and mail it to RECIPIENT: a chain of jobs."""
    chain = sending.push(first_admin(), file, recipient)
    click.echo(f"Pushed the chain {chain.id}.")


@group.command("demo")
def demo_command() -> None:
    """Push work to look at: the sample pictures in every look, one broken picture, some mails."""
    picture_id = library.newest_ready()
    if picture_id is None:
        import_id = start_import(str(Path(__file__).parent.parent / "sample"), len(imaging.LOOKS))
        add_drawn("Torn page", whole=False)
        picture_id = add_drawn("Small sunrise", whole=True)
        click.echo(f"Pushed import {import_id} of the sample pictures, and two pictures more.")
        sending.push(first_admin(), str(Path(__file__).parent.parent / "sample" / "dunes.jpg"), "gina@example.org")
        click.echo("Pushed a chain that takes one more picture and mails it.")
    for name in ("clara", "dan", "emmy", "felix"):
        share(picture_id, f"{name}@example.org")
    share(picture_id, "nobody@nowhere.invalid")
    click.echo("Pushed 5 mails.")


def start_import(folder: str, looks: int) -> int:
    import_id = imports.add(first_admin(), imports.allowed_folder(folder), looks)
    jobs.push_import(import_id)
    return import_id


def add_drawn(title: str, whole: bool) -> int:
    """Add a picture drawn on the spot; one that is not whole breaks off in the middle of its file."""
    rise = ImageOps.colorize(Image.linear_gradient("L"), "#35527f", "#ffdca0", "#e0917f").resize((1200, 800))
    ImageDraw.Draw(rise).ellipse((500, 460, 700, 660), fill="#fff3cf")
    ImageDraw.Draw(rise).rectangle((0, 600, 1200, 800), fill="#2c3f66")
    buffer = io.BytesIO()
    rise.save(buffer, "JPEG", quality=90)
    content = buffer.getvalue()
    picture_id = library.add(library.checked(content if whole else content[: len(content) // 2], title), first_admin())
    jobs.push_thumbnail(picture_id)
    return picture_id


def share(picture_id: int, recipient: str) -> None:
    jobs.push_mail(outbox.add(first_admin(), picture_id, recipient, "Look what was in the library."))


def first_admin() -> int:
    admin = users.first_admin()
    if admin is None:
        raise click.ClickException("There is no admin to import pictures for.")
    return admin.id
