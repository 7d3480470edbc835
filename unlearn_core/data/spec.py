"""Which data set to open."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetSpec:
    """Which data set to open; plain, and `str(spec)` is what a person types.

    Attributes:
        name: A name in `DATASETS`.
        root: The folder that it is read from; empty for the default one.
        size: Side of the square images in pixels; 0 lets the source decide.
    """

    name: str
    root: str = ""
    size: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.root}" if self.root else self.name
