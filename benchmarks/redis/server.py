"""Redis servers of our own: one, or a cluster of three, each with its files in a folder that goes with it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

#: What a server that keeps jobs is set to: on the disk within a second, and nothing evicted. It rewrites no file
#: while something is measured.
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "auto-aof-rewrite-percentage": "0",
}
SLOTS = 16384
PATIENCE = 20.0


@contextmanager
def server(folder: Path, **settings: str) -> Iterator[str]:
    """Run a server; gives its URL."""
    port = free_port()
    given = {**SETTINGS, "dir": str(folder), "bind": "127.0.0.1", "port": str(port), **settings}
    arguments = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([program(), *arguments], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for_answer(port, folder, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[list[str]]:
    """Run a cluster of so many masters; gives their URLs."""
    with ExitStack() as stack:
        urls = []
        for n in range(nodes):
            place = folder / f"node-{n}"
            place.mkdir()
            urls.append(stack.enter_context(server(place, cluster_enabled="yes", cluster_config_file="nodes.conf")))
        clients = [stack.enter_context(Redis.from_url(url)) for url in urls]
        first = clients[0].connection_pool.connection_kwargs
        for n, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // nodes, (n + 1) * SLOTS // nodes - 1)
            client.execute_command("CLUSTER", "MEET", first["host"], first["port"])
        until = time.monotonic() + PATIENCE
        while not all(whole(client, nodes) for client in clients):
            if time.monotonic() > until:
                raise RuntimeError(f"The cluster in {folder} did not come together.")
            time.sleep(0.05)
        yield urls


def whole(client: Any, nodes: int) -> bool:
    """Whether a node knows all the others, and who holds which slots."""
    known = str(client.execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in known and f"cluster_known_nodes:{nodes}" in known and f"cluster_size:{nodes}" in known


def free_port() -> int:
    """A port that nobody listens on, and neither on that of a cluster's bus above it."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            return port


def wait_for_answer(port: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"redis-server did not start:\n{(folder / 'server.log').read_text('utf-8', 'replace')[-2000:]}")


def program() -> str:
    """Where the server is."""
    found = shutil.which("redis-server")
    if found is None:
        raise RuntimeError("These measurements need redis-server on the PATH: apt install redis-server.")
    return found
