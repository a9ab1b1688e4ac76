"""Files and folders that a person names: made absolute and tried, or told in one sentence why they cannot be used."""

import os
from pathlib import Path

from studio.errors import NotFound, Refused, StorageFailed

ALLOWED = "the name of a file or folder"


def named(field: str, words: str | Path) -> Path:
    """The absolute path of what may be there or not yet, `~` understood.

    Raises Refused where the words name nothing, and StorageFailed where the system does not let us look.
    """
    if not str(words).strip():
        raise Refused(f"{field} is empty.", field=field, allowed=ALLOWED)
    path = Path(words)
    try:
        path = path.expanduser().absolute()
        # The dot asks whether a folder may be entered, too.
        path.stat()
        os.stat(f"{path}{os.sep}.")  # noqa: PTH116 - a Path would drop the dot
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError as error:
        raise Refused(
            f"{field}: the ~ in {words} is nobody's home folder here.", field=field, allowed=ALLOWED
        ) from error
    except (OSError, ValueError) as error:
        raise StorageFailed(
            f"{field}: {_short(path)} cannot be used: {_why(error)}.", field=field, allowed="a place that can be opened"
        ) from error
    return path


def to_read(field: str, words: str | Path, *, allowed: str) -> Path:
    """The absolute path of a file that can be read. Raises Refused, NotFound and StorageFailed."""
    path = named(field, words)
    if not path.is_file():
        raise NotFound(f"{field}: there is no file {path}.", field=field, allowed=allowed)
    try:
        path.open("rb").close()
    except OSError as error:
        raise StorageFailed(f"{field}: {path} cannot be read: {_why(error)}.", field=field, allowed=allowed) from error
    return path


def expanded(words: str | Path) -> Path:
    """The path with `~` understood, where there is such a home folder; some containers have none."""
    try:
        return Path(words).expanduser()
    except RuntimeError:
        return Path(words)


def _why(error: OSError | ValueError) -> str:
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)


def _short(path: Path) -> str:
    words = str(path)
    return words if len(words) <= 120 else f"{words[:117]}..."
