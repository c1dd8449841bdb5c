"""Level 1, beginnings: what of an adapter is still to be written, all of it in one list.

A skeleton raises NotImplementedError with a question wherever only the venue's documents know the answer.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from wickwire.conversation import OhlcvQuery, TradeQuery
from wickwire.description import Account
from wickwire.endpoint import Ask, Topic
from wickwire.model import SECOND_NS, Timeframe, Utc
from wickwire.simulate.server import Answer, Incoming, VenueServer
from wickwire.testing.checks import Broken, Checks, Level
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.playing import NOW_NS

__all__ = ["UNFINISHED", "is_unfinished", "sources_of", "still_to_do"]

UNFINISHED: Final = Checks(Level.STATIC)

MINUTE: Final = Timeframe.parse("1m")
SYMBOL: Final = "BTC/USD"
REQUEST: Final = Incoming(method="GET", path="/", query={}, headers={})


@UNFINISHED("S12", "Nothing of it is still to do: no hook raises NotImplementedError.")
def finished(material: Material) -> None:
    left = still_to_do(material)
    if left:
        things = "1 thing is" if len(left) == 1 else f"{len(left)} things are"
        raise Broken(f"{things} still to do", shown="\n".join(left))


def is_unfinished(error: BaseException | None) -> bool:
    """Say whether *error* is, or comes of, what nobody has written yet."""
    return _unwritten(error) is not None


def still_to_do(material: Material) -> Sequence[str]:
    """Return what is still to be written, a line each: as the sources say, then what calls alone show."""
    written = dict(_written(sources_of(material)))
    raised = (_question(error) for error in _raised(material))
    left = [text for text in dict.fromkeys(raised) if text not in written]
    return [f"{where}: {text}" for text, where in written.items()] + left


# -------------------------------------------------------------------------------------- what the sources say


def sources_of(material: Material) -> Sequence[Path]:
    """Return the files that the adapter is made of; none where it was not made of files."""
    files = dict.fromkeys(Path(code.co_filename) for code in material.code)
    found: dict[Path, None] = {}
    for file in files:
        inside = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
        found |= dict.fromkeys(one for one in inside if one.is_file())
    return tuple(found)


def _written(sources: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield the questions that stand in *sources*, each with its place."""
    for path in sources:
        tree = ast.parse(path.read_bytes(), str(path))
        raising = (node for node in ast.walk(tree) if isinstance(node, ast.Raise))
        for node in sorted(raising, key=lambda node: node.lineno):
            match node.exc:
                case ast.Call(func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=str(text))]):
                    yield text, f"{path.name}, line {node.lineno}"
                case _:
                    continue


# ----------------------------------------------------------------------------------------- what calls show


def _raised(material: Material) -> Iterator[NotImplementedError]:
    """Yield every NotImplementedError that a hook, or the simulated venue, raises where it is called once."""
    for call in (*_hooks(material), *_simulated(material)):
        error = _unwritten(outcome_of(call)[1])
        if error is not None:
            yield error


def _unwritten(error: BaseException | None) -> NotImplementedError | None:
    """Return the NotImplementedError that *error* is or comes of; None where it comes of none."""
    while error is not None and not isinstance(error, NotImplementedError):
        error = error.__cause__
    return error


def _question(error: NotImplementedError) -> str:
    return str(error) or f"{type(error).__name__} without a question"


def _hooks(material: Material) -> Iterator[Callable[[], object]]:
    adapter, account, topic = material.adapter, Account(), Topic(SYMBOL, MINUTE)
    open_ns = MINUTE.open_at(NOW_NS, Utc())
    close_ns = MINUTE.close_of(open_ns, Utc())
    query = OhlcvQuery(symbol=SYMBOL, timeframe=MINUTE, since_ns=open_ns, until_ns=close_ns, now_ns=NOW_NS)
    trades = TradeQuery(symbol=SYMBOL, since_ns=open_ns, until_ns=close_ns, now_ns=NOW_NS)
    yield partial(adapter.describe, account)
    yield partial(adapter.supports_ohlcv, SYMBOL, MINUTE, account)
    yield partial(adapter.to_venue, SYMBOL)
    yield partial(adapter.from_venue, SYMBOL)
    yield partial(adapter.lane, topic)
    if adapter.streams:
        yield partial(_begun, partial(adapter.connect, account, (), NOW_NS))
        yield partial(adapter.subscribe, [Ask(topic)], [], {})
        yield partial(adapter.parse, b"{}", {})
    if adapter.serves_history:
        yield partial(_begun, partial(adapter.fetch_ohlcv, query, account))
    if adapter.list_instruments is not None:
        yield partial(_begun, partial(adapter.list_instruments, "", account))
    if adapter.fetch_trades is not None:
        yield partial(_begun, partial(adapter.fetch_trades, trades, account))


def _begun(call: Callable[[], Any]) -> None:
    """Let a conversation say its first words."""
    talk = call()
    if isinstance(talk, Generator):
        next(talk, None)
        talk.close()


def _simulated(material: Material) -> Iterator[Callable[[], object]]:
    """Yield calls of the simulated venue, and then all that is said to it, each with what came of it."""
    yield lambda: material.playing
    playing, _ = outcome_of(lambda: material.playing)
    server = None if playing is None else playing.server
    if server is None:
        return
    yield lambda: server.stream_origins
    yield lambda: server.rest_origins
    yield partial(server.answer, REQUEST, NOW_NS)
    yield from _line(server, NOW_NS)
    yield lambda: _reraised(one.error for one in material.playing.dialogues)
    yield lambda: _reraised(one.bug for one in material.playing.fetched)


def _line(server: VenueServer, now_ns: int) -> Iterator[Callable[[], object]]:
    yield partial(server.accept, REQUEST, now_ns)
    line, _ = outcome_of(partial(server.accept, REQUEST, now_ns))
    if line is None or isinstance(line, Answer):
        return
    yield partial(line.opened, now_ns)
    yield partial(line.received, "{}", now_ns)
    yield partial(line.due, now_ns + SECOND_NS)
    yield partial(line.next_ns, now_ns + SECOND_NS)


def _reraised(errors: Iterable[Exception | None]) -> None:
    """Raise the first of *errors* that is about something unwritten."""
    for error in errors:
        if error is not None and is_unfinished(error):
            raise error
