"""Says whether the worker is alive: its event loop turned in the last half minute. Status 0 or 1.

Venues that are away, or a store, do not make it look dead: it waits for them, and a restart would not help.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

MOST_S = 30.0


def main() -> int:
    """Look how old the worker's file is."""
    alive = Path(os.environ.get("WORKER_ALIVE") or Path(tempfile.gettempdir(), "alive"))
    try:
        age_s = time.time() - alive.stat().st_mtime
        print(alive.read_text(), end="")
    except FileNotFoundError:
        print("it has not begun, or has stopped")
        return 1
    if age_s > MOST_S:
        print(f"nothing for {age_s:.0f} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
