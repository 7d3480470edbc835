"""Fetching a published file: with progress, a checksum, and nothing half-written left behind."""

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report

_BLOCK = 256 * 1024
_TIMEOUT_SECONDS = 20.0


def fetch(url: str, target: Path, md5: str, report: Report) -> None:
    """Downloads a file; reports bytes done and bytes in all; `target` exists only when the checksum is right.

    Raises:
        UnlearnError: The network or the disk failed, or the file isn't the published one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        checksum = _stream(url, part, report)
        if checksum != md5:
            raise UnlearnError(
                f"What {url} sent is not the published file (MD5 {checksum}, expected {md5}); try again, "
                f"or put the right file at {target}."
            )
        os.replace(part, target)
    except (OSError, http.client.HTTPException) as error:
        raise UnlearnError(
            f"Downloading {url} failed ({error}); check the connection, or put the file at {target} by hand."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _stream(url: str, part: Path, report: Report) -> str:
    """Writes the answer to a file and gives its MD5."""
    checksum, done = hashlib.md5(usedforsecurity=False), 0
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer, part.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        report(Progress("downloading", 0, max(total, 1), {"unit": "bytes"}))
        while block := answer.read(_BLOCK):
            file.write(block)
            checksum.update(block)
            done += len(block)
            report(Progress("downloading", done, max(total, done), {"unit": "bytes"}))
    return checksum.hexdigest()
