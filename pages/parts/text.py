"""Names that people chose, where Streamlit reads markdown."""

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&])")


def md(text: str) -> str:
    """A text that markdown shows as it is: no formatting, links, HTML, formulas or icons."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
