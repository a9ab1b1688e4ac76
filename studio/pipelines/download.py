"""Gets one file over HTTP into a `.part` file: goes on where it stopped, and says in words why it could not.

Standard library only, so that weights can be fetched before anything heavy is installed or imported.
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from studio.pipelines.disk import opened_to_write

BLOCK = 1 << 18
PATIENCE_S = 20  # without a byte
TRIES = 4  # in a row that brought nothing new
AGENT = {"User-Agent": "Likeness (model download)"}

Count = Callable[[int], None]
"""Told how many bytes came; a negative number takes back what had to be thrown away."""


class SourceFailed(Exception):
    """This source did not give the file; the message says why, as part of a sentence. The next one may."""


def download(url: str, part: Path, *, size: int | None, count: Count, pause_s: float = 1.0) -> None:
    """Fills `part` up to `size` bytes (None: as long as the server says), keeping what an earlier try had brought.

    Raises SourceFailed (no connection, refused, broke off `TRIES` times without progress) and StorageFailed.
    """
    host = urlsplit(url).hostname or url
    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceFailed(f"{url} is no web address")
    barren = 0
    while True:
        had = length(part)
        if size is not None and had == size:
            return
        if size is not None and had > size:
            count(-had)
            part.unlink()
            continue
        # 1. Ask for what is missing. What the server refuses for good is not asked again.
        try:
            if _receive(url, part, had, count):
                return
            reason = f"{host} broke off"
        except urllib.error.HTTPError as error:
            if error.code == 416 and had:  # longer than the file there is: begin anew
                count(-had)
                part.unlink()
            elif error.code not in (408, 429, 500, 502, 503, 504):
                raise SourceFailed(f"{host} answered {error.code} {error.reason}") from error
            reason = f"{host} answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            raise SourceFailed(f"{host} cannot be reached ({error.reason})") from error
        except (http.client.HTTPException, OSError) as error:  # what goes wrong on our disk is no OSError any more
            reason = f"{host} broke off ({type(error).__name__})"
        # 2. A transfer that moves on may break off as often as it likes.
        barren = 0 if length(part) > had else barren + 1
        if barren >= TRIES:
            raise SourceFailed(reason)
        time.sleep(pause_s * barren)


def _receive(url: str, part: Path, had: int, count: Count) -> bool:
    """One request, appended to `part`; whether all that the server announced came."""
    headers = AGENT | ({"Range": f"bytes={had}-"} if had else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as answer:
        if had and answer.status != 206:  # the server cannot go on in the middle
            count(-had)
            had = 0
        announced = answer.headers.get("Content-Length")
        came = 0
        with opened_to_write(part, "ab" if had else "wb") as write:
            while block := answer.read(BLOCK):
                write(block)
                came += len(block)
                count(len(block))
    return announced is None or came == int(announced)


def length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
