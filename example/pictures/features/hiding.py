"""Payload fields that nobody is shown; with QUEUES_ENCRYPTION_KEYS nothing of a payload is readable on the disk."""

from typing import Annotated

from flask_queues import Secret, current_job
from pictures.extensions import queues


@queues.job("pictures:buy", name="Buy a print", sensitive={"iban"}, tries=1)
def buy(picture: int, iban: str, code: Annotated[str, Secret]) -> str:
    """The panel, the command line and the API show neither field, nor do errors and lines of the log."""
    current_job.log("info", f"Charging {iban}")
    if len(code) != 4:
        raise ValueError(f"{code} is no code of four digits")
    return f"picture {picture} is bought"


def buy_one() -> str:
    buy.push(picture=1, iban="DE02120300000000202051", code="2718")
    return "Look at the job in the panel: what it says of the account is hidden, in its log as well."


def mistype() -> str:
    buy.push(picture=1, iban="DE02120300000000202051", code="31415")
    return "It fails, and its error hides the code."
