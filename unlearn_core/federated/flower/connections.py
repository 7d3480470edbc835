"""Flower's own list of superlinks, in `config.toml`: which of them may be used, and an entry for one on this machine."""

import os
import tomllib
from pathlib import Path

from unlearn_core.errors import UnlearnError

_FILE = "config.toml"
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def flower_home() -> Path:
    """Where Flower keeps its settings."""
    return Path(os.environ.get("FLWR_HOME") or Path.home() / ".flwr")


def require_private(superlink: str, home: Path) -> None:
    """Lets only connections pass over which nobody can listen: encrypted ones, and those within this machine.

    Raises:
        UnlearnError: There is no such connection, or it goes to another machine in clear text.
    """
    path = home / _FILE
    try:
        entries = tomllib.loads(path.read_text("utf-8"))["superlink"]
        connections = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    except (OSError, KeyError, AttributeError, ValueError):
        connections = {}
    if superlink not in connections:
        names = ", ".join(connections) or "none"
        raise UnlearnError(f"Flower knows no connection {superlink!r}; those in {path} are: {names}.")
    host = str(connections[superlink].get("address", "")).rpartition(":")[0].strip("[]")
    if connections[superlink].get("insecure") and host not in _THIS_MACHINE:
        raise UnlearnError(
            f"The connection {superlink!r} goes to {host} without encryption; in {path} give it root-certificates "
            "instead of insecure = true."
        )


def write_connection(home: Path, name: str, port: int) -> None:
    """Tells Flower of a superlink on this machine."""
    home.mkdir(exist_ok=True)
    entry = f'[superlink.{name}]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (home / _FILE).write_text(entry)
