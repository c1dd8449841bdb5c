"""Functions of a host that has no event loop, each called in a thread of its own."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar, final

from wickwire.blocking_readers import BlockingReader
from wickwire.errors import StoreError, UsageError
from wickwire.listener_errors import ListenerErrors, check_callable
from wickwire.portal import Deadline

__all__ = ["ListenerThread", "Listeners", "checked_listener"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_AGAIN_S: Final = 1.0
"""So long after the store could not be read it is tried again."""


@final
class ListenerThread(Generic[T]):
    """Calls one function with all that one iterator brings, one at a time.

    Attributes:
        name: Of the consumer.
        errors: What the function raised.
    """

    def __init__(
        self, listener: Callable[[T], object], reader: BlockingReader[T], errors: ListenerErrors
    ) -> None:
        """Call *listener* with what *reader* brings, from `start` on."""
        self.name = reader.name
        self.errors = errors
        self._listener = listener
        self._reader = reader
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"wickwire {self.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Call it no more; the call that is under way comes to its end."""
        self._stopped.set()
        self._reader.close()

    @property
    def ended(self) -> bool:
        """Whether it is called no more."""
        return not self._thread.is_alive()

    def join(self, deadline: Deadline) -> bool:
        """Wait until it was called with all there was, and say so; it never waits for itself."""
        if self._thread is threading.current_thread():
            return True
        deadline.awaits(lambda: not self._thread.is_alive(), self._thread.join)
        return self.ended

    def _run(self) -> None:
        for item in self._items():
            if self._stopped.is_set():
                return
            try:
                self._listener(item)
            except Exception as exc:  # noqa: BLE001 - a host's code must not end its own thread
                self.errors.raised(exc, item)
            else:
                self.errors.went_well()

    def _items(self) -> Iterator[T]:
        """Yield what comes, until the collector has ended, however it did."""
        while True:
            try:
                item = next(self._reader)
            except StopIteration:
                return
            except StoreError:  # it fell behind, and the store cannot be read back just now
                if self._stopped.wait(_AGAIN_S):
                    return
            except Exception:  # noqa: BLE001 - what ended the collector: logged, and told to who asks
                return
            else:
                yield item


@final
class Listeners:
    """All functions that one collector calls."""

    def __init__(self) -> None:
        """Begin with none."""
        self._threads: list[ListenerThread[Any]] = []
        self._lock = threading.Lock()
        self._errors = 0
        self._names: Counter[str] = Counter()

    def name(self, kind: str, given: str) -> str:
        """Return the name of a new one: the *given* one, or else its kind and a number."""
        if given:
            return given
        with self._lock:
            self._names[kind] += 1
            return f"{kind} {self._names[kind]}"

    @property
    def errors(self) -> int:
        """How often one of them raised."""
        return self._errors + sum(one.errors.count for one in list(self._threads))

    def call(
        self, listener: Callable[[T], object], reader: BlockingReader[T], errors: ListenerErrors
    ) -> Callable[[], None]:
        """Call *listener* with all that *reader* brings; return what ends that."""
        thread = ListenerThread(listener, reader, errors)
        with self._lock:
            over = [one for one in self._threads if one.ended]
            self._errors += sum(one.errors.count for one in over)
            self._threads = [one for one in self._threads if one not in over]
            thread.start()
            self._threads.append(thread)
        return thread.stop

    def join(self, deadline: Deadline) -> None:
        """Return when all were called with all there was, or at the *deadline*, which is logged."""
        for one in list(self._threads):
            if not one.join(deadline):
                log.error("stopped before a listener ended", extra={"consumer": one.name})


def checked_listener(listener: Callable[[Any], object]) -> None:
    """Raise UsageError where *listener* could not be called in a thread."""
    check_callable(listener)
    call = getattr(type(listener), "__call__", None)  # noqa: B004 - not asked whether
    if inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(call):
        raise UsageError(
            f"{getattr(listener, '__qualname__', listener)!s:.80} is async, and there is no loop for it; "
            "give a plain function, or use a Collector"
        )
