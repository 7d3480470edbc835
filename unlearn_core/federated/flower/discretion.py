"""What the server hears of a client's failure: a sentence, but no path of the client's machine and no foreign text."""

import re
import sys
import traceback
from collections.abc import Callable
from functools import wraps

from flwr.app import Context, Message

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import RunCancelled

Work = Callable[[Message, Context], Message]
"""A client's work on one message."""


def discreet(work: Work) -> Work:
    """The same work, of whose failure the server hears what it may."""

    @wraps(work)
    def guarded(message: Message, context: Context) -> Message:
        try:
            return work(message, context)
        except RunCancelled:
            raise
        except UnlearnError as error:
            raise UnlearnError(without_paths(str(error), str(context.node_config.get("data", "")))) from None
        except ModuleNotFoundError as error:
            raise UnlearnError(
                f"The Python package {error.name}, which this model or data set needs, isn't installed there."
            ) from None
        except Exception as error:
            traceback.print_exc(file=sys.stderr)  # for the client's own log
            raise UnlearnError(f"It failed ({type(error).__name__}); its own log says more.") from None

    return guarded


def without_paths(text: str, data: str) -> str:
    """A sentence without the client's own folder (`folder:PATH`), or any other path that starts at a root."""
    root = data.partition(":")[2].rstrip("/")
    if root:
        text = re.sub(re.escape(root) + r"[^\s'\",;]*", "…", text)
    return re.sub(r"(?<![\w…])(?:~|[A-Za-z]:)?[/\\][^\s'\",;]+", "…", text)
