"""Writes the programs of docs/migration into its pages, where comments say so: `make pages`.

The files are what tests run; the pages show them whole, for who reads where nothing is included.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["FOLDER", "rendered"]

FOLDER: Final = Path(__file__).parents[1] / "docs" / "migration"
MADE: Final = re.compile(r"(<!-- file: (\w+\.py) -->\n).*?(<!-- end of file -->\n)", re.DOTALL)


def rendered(page: str) -> str:
    """Return *page* with all programs as they are now."""
    return MADE.sub(
        lambda found: f"{found[1]}```python\n{(FOLDER / found[2]).read_text()}```\n{found[3]}", page
    )


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.md")):
        path.write_text(rendered(path.read_text()))
