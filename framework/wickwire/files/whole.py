"""Files that appear under their names only once they are whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wickwire.errors import ConfigError

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Provide the name of an empty file beside *path*, which takes its place at the end, safe on the disk.

    Raises:
        ConfigError: It cannot be written; what was there before is untouched.
    """
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"output {str(path)!r}: there is no directory {str(path.parent)!r}; create it")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise ConfigError(f"output {str(path)!r}: cannot be made: {exc.strerror}") from exc
    made = Path(name)
    try:
        yield made
        os.fsync(descriptor)
        made.chmod(0o666 & ~_umask())  # it was made for its owner alone
        made.replace(path)
    except OSError as exc:
        raise ConfigError(f"output {str(path)!r}: cannot be written: {exc.strerror or exc}") from exc
    finally:
        os.close(descriptor)
        made.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
