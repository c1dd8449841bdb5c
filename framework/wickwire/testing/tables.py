"""The rows of a reply, whatever it is written in: so that they can be left out, repeated and put elsewhere.

Nobody has to say where they are: where leaving out each thing of a list, or each line of a text, takes one
candle from the page at most, another one each, they are rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import attrs

from wickwire.conversation import HttpReply, Page, StreamHistory
from wickwire.testing.trees import Form, Path, form_of

__all__ = ["Reply", "Table", "table_of"]

Reply = HttpReply | StreamHistory

FEWEST: Final = 3
MOST: Final = 60
"""Of fewer rows nobody can say which is which, and of more it takes too long."""


@attrs.frozen(eq=False)
class Table:
    """A reply that is seen to hold rows.

    Attributes:
        count: How many there are.
        with_rows: Makes a reply of some of them, by number, in whatever order and however often.
    """

    count: int
    with_rows: Callable[[Sequence[int]], Reply]


def table_of(reply: Reply, ask: Callable[[Reply], Page | None]) -> Table | None:
    """Return the rows of *reply*, or None where none can be found.

    Args:
        reply: As it came.
        ask: Says what page comes of another reply in its place; None where it is refused.
    """
    whole = ask(reply)
    opens = set() if whole is None else {one.open_ns for one in whole.candles}
    if not opens:
        return None
    for table in _candidates(reply):
        if FEWEST <= table.count <= MOST and table.count >= len(opens) and _carries(table, opens, ask):
            return table
    return None


def _carries(table: Table, opens: set[int], ask: Callable[[Reply], Page | None]) -> bool:
    """Say whether each candle comes of one row."""
    carried: set[int] = set()
    for left_out in range(table.count):
        page = ask(table.with_rows([at for at in range(table.count) if at != left_out]))
        lost = opens if page is None else opens - {one.open_ns for one in page.candles}
        if len(lost) > 1 or lost & carried:
            return False
        carried |= lost
    return carried == opens


def _candidates(reply: Reply) -> Iterator[Table]:
    """Yield what could be its rows, the longest lists first."""
    if isinstance(reply, StreamHistory):
        candles = reply.candles
        yield Table(len(candles), lambda rows: attrs.evolve(reply, candles=[candles[at] for at in rows]))
        return
    form = form_of(reply.body)
    if form is None:
        lines = reply.body.splitlines()
        yield Table(len(lines), lambda rows: attrs.evolve(reply, body=b"\n".join(lines[at] for at in rows)))
        rest = lines[-1:]  # what says that there is more is no row
        yield Table(
            len(lines) - 1,
            lambda rows: attrs.evolve(reply, body=b"\n".join([*(lines[at] for at in rows), *rest])),
        )
        return
    lists = [(path, node) for path in form.paths if type(node := form.at(path)) is list]
    for length in sorted({len(node) for _, node in lists}, reverse=True):
        alike = [path for path, node in lists if len(node) == length]
        yield from (_of_lists(reply, form, [path], length) for path in alike)
        if len(alike) > 1:  # columns, one list each
            yield _of_lists(reply, form, alike, length)


def _of_lists(reply: HttpReply, form: Form, paths: Sequence[Path], length: int) -> Table:
    def with_rows(rows: Sequence[int]) -> HttpReply:
        tree: Any = form.tree
        for path in paths:
            node = form.at(path)
            tree = Form(tree, form.write).replaced(path, [node[at] for at in rows])
        return attrs.evolve(reply, body=form.write(tree))

    return Table(length, with_rows)
