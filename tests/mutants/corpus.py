"""The corpus of seeded adapter bugs: each is one that an adapter's author would really write."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.simulation.planted import Bug

__all__ = ["ADAPTERS", "CORPUS", "Mutant", "corpus"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
ADAPTERS: Final = ROOT / "adapters"
CORPUS: Final = Path(__file__).with_name("bugs.toml")


@attrs.frozen(kw_only=True)
class Mutant:
    """One bug of one adapter.

    Attributes:
        id: Of this bug alone.
        adapter: Whose it is.
        trap: What goes wrong, and what documents it: page and heading.
        kind: What kind of mistake it is, such as `unit` or `silent refusal`.
        bug: In which file, what stands there, and what is put in its place.
        check: Of the kit: the one that should find it; empty where none does.
        survives: Why the kit cannot find it; empty where it should.
    """

    id: str
    adapter: str
    trap: str
    kind: str
    bug: Bug
    check: str = ""
    survives: str = ""

    @property
    def package(self) -> str:
        """The package of its adapter, a folder below `ADAPTERS`."""
        return f"wickwire_{self.adapter}"

    @property
    def text(self) -> str:
        """The text of its file as it is now."""
        return (ADAPTERS / self.package / self.bug.file).read_text()

    @property
    def words(self) -> str:
        """What it can be chosen by."""
        return f"{self.id} {self.adapter} {self.kind} {self.trap}"

    def misfit(self) -> str:
        """Return why it cannot be applied any more, or nothing."""
        text = self.text
        if not self.bug.fits(text):
            return f"its old text is {text.count(self.bug.before)} times in {self.bug.file}, not once"
        planted = self.bug.planted(text)
        if planted == text:
            return "it changes nothing"
        try:
            compile(planted, self.bug.file, "exec")
        except SyntaxError as exc:
            return f"what it makes is no Python: {exc.msg} in line {exc.lineno}"
        return ""


def corpus() -> Sequence[Mutant]:
    """Return all bugs of the corpus.

    Raises:
        ValueError: Two have one id, or one says something that nobody knows.
    """
    bugs = {}
    for told in tomllib.loads(CORPUS.read_text())["bug"]:
        one = Mutant(
            id=told.pop("id"),
            adapter=told.pop("adapter"),
            trap=told["trap"],
            kind=told.pop("class"),
            check=told.pop("check", ""),
            survives=told.pop("survives", ""),
            bug=Bug(
                file=told.pop("file"), what=told.pop("trap"), before=told.pop("old"), after=told.pop("new")
            ),
        )
        if told or one.id in bugs:
            why = f"nobody knows what {', '.join(told)} is" if told else "there are two of this id"
            raise ValueError(f"{one.id}: {why}")
        bugs[one.id] = one
    return tuple(bugs.values())
