"""One chain: how far it is, and its jobs that are there."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from ..chains import ChainRecord
from ..manager import Manager, current_queues
from ..shapes import chain_record_fields
from .listing import PAGE
from .render import page


def add_to(blueprint: Blueprint) -> None:
    """Add the routes; any job of a chain leads to it."""
    blueprint.add_url_rule("/chains/<link>", "chain", chain)
    blueprint.add_url_rule("/api/chains/<link>", "api_chain", api_chain)


def asked(manager: Manager, job_id: str) -> ChainRecord:
    """The chain, and the page of its jobs, that this address names."""
    return manager.chain_with(job_id, PAGE, request.args.get("after") or None)


def chain(link: str) -> ResponseReturnValue:
    """A chain for a person."""
    return page("chain.html", chain=asked(current_queues, link), more=request.args.get("after"))


def api_chain(link: str) -> ResponseReturnValue:
    """The same for programs."""
    return jsonify(chain_record_fields(current_queues, asked(current_queues, link)))
