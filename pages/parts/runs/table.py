"""The table of runs."""

import hashlib
from collections.abc import Sequence

from unlearn_core.store.runs import RunRecord


def list_key(records: Sequence[RunRecord]) -> str:
    """A widget key for a table of exactly these runs: ticked rows are places, and mean others once the list changes."""
    return (
        f"runs table {hashlib.blake2b(' '.join(r.id for r in records).encode(), digest_size=8).hexdigest()}"
    )
