"""Where everything that Lethe writes lives."""

import os
import sys
from pathlib import Path


def home() -> Path:
    """The folder of all that Lethe writes: `LETHE_HOME`, or a folder in the person's data directory.

    The folder is not made here; whoever writes makes it.
    """
    chosen = os.environ.get("LETHE_HOME", "")
    return Path(chosen).expanduser().absolute() if chosen else _data_directory() / "lethe"


def _data_directory() -> Path:
    """The data directory that the operating system gives a person."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    # The XDG standard says that a relative path there is to be ignored.
    chosen = os.environ.get("XDG_DATA_HOME", "")
    return Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".local" / "share"
