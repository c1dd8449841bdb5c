"""One live connection: open, greet, subscribe, pump, watch. Retrying is venue's.

What is wanted, asked and confirmed is in `subscriptions`; the adapter only says how to ask and what came
back. What is said to the venue goes through the `outbox`, what the venue says beside data to `control`. Data
goes to the routes synchronously, frame by frame, without a task or a queue between.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, final

import attrs

from wickwire.adapter import MISFITS, Adapter
from wickwire.budget import Priority
from wickwire.clock import Clock, loop_s
from wickwire.control import Control
from wickwire.description import Account
from wickwire.endpoint import Endpoint, Readiness, Send, Topic
from wickwire.errors import FaultKind, TransportError, VenueError, WickwireError, WireError
from wickwire.events import Ready
from wickwire.foreign import described
from wickwire.history import History
from wickwire.limits import effective_limits
from wickwire.model import SECOND_NS, Candle, Quote, Trade
from wickwire.news import Doubted, FrameRefused, Tell
from wickwire.outbox import Outbox
from wickwire.scope import children, unwrapped
from wickwire.series import scope_of
from wickwire.subscriptions import Subscriptions, TopicPhase
from wickwire.topic_route import Route
from wickwire.transport import Stream, Transport

__all__ = ["Session", "SessionState"]

log = logging.getLogger(__name__)

READY_DEADLINE_S: Final = 30.0
"""How long a venue may talk without saying that it may be subscribed on."""

STRAY_S: Final = 60.0
"""How long it is told that data came which nobody asked for."""

_SOON_S: Final = 1e-6
"""A shorter wait may not move the loop's clock at all, and would never end."""


@final
class SessionState(enum.Enum):
    """How far a connection is."""

    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    DRAINING = "draining"
    CLOSED = "closed"


class Session:
    """One connection from opening to end. Make a new one for each attempt.

    Attributes:
        state: How far it is.
        venue_ns: The latest venue time that its data showed.
        frames: Frames received.
        frame_s: When the last frame came, in the loop's time.
        junk: Frames that were not what the venue documents.
        last_junk: What was wrong with the last one.
    """

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        transport: Transport,
        history: History,
        clock: Clock,
        *,
        flowing: Callable[[], None] | None = None,
        admitted: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        paced: Callable[[Priority], Awaitable[None]] | None = None,
        halted: Callable[[str, str], None] | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Prepare a connection to *adapter*'s venue; nothing happens before `run`.

        Args:
            adapter: Whose venue.
            account: Which account.
            transport: How to reach it.
            history: What converses over HTTP.
            clock: What stamps.
            flowing: Called when the first data came.
            admitted: Waits until the venue's limits allow one more connection, which the block opens; asked
                right before that, since a login on the way to it takes its time.
            paced: Waits until the venue's limits on all connections together allow one more frame.
            halted: Called with a symbol and what the venue said of its state.
            tell: Told what the venue refuses, what may have been lost, and of the venue's own state.
        """
        self._tell = tell
        self._scope = scope_of(adapter.name, account.feed)
        self._flowing = flowing
        self._admitted = admitted
        self._paced = paced
        self._adapter = adapter
        self._account = account
        self._transport = transport
        self._history = history
        self._words = history.words
        self._clock = clock
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._book = Subscriptions(self, self._changed.set, self._tell_doubt)
        self._said = Control(
            adapter,
            self._scope,
            self._book,
            history,
            clock,
            is_ready=self._ready.is_set,
            halted=halted,
            tell=tell,
        )
        self._memory: object = None
        self._limits = effective_limits(adapter.description_for(account).limits, account.limits)
        self._endpoint: Endpoint | None = None
        self._stream: Stream | None = None
        self._outbox: Outbox | None = None
        self._opened_s = 0.0
        self._first_data_s: float | None = None
        self.state = SessionState.CONNECTING
        self.venue_ns = self._horizon_ns = 0
        self._heard_s: float | None = None
        self.frames = 0
        self.frame_s = 0.0
        self.junk = 0
        self._junk_told = 1  # how many are told of next
        self.last_junk = ""

    # ----------------------------------------------------------------------------------- what is wanted

    def want(self, topic: Topic, route: Route, since_ns: Callable[[], int | None]) -> None:
        """Subscribe to *topic* as soon as possible; *since_ns* says from when on, each time it is asked."""
        self._book.want(topic, route, since_ns)

    def reroute(self, topic: Topic, route: Route) -> None:
        """Bring the data of *topic*, which is wanted here, to *route* from now on."""
        self._book.reroute(topic, route)

    def drop(self, topic: Topic) -> None:
        """Unsubscribe from *topic*."""
        self._book.drop(topic)

    def release(self, topic: Topic) -> None:
        """Forget *topic*, without a word to the venue: another connection carries it, and this one ends."""
        self._book.release(topic)

    def again(self, topic: Topic) -> None:
        """Leave *topic* and subscribe to it anew, on the same connection."""
        if self.state is SessionState.READY:
            self._book.again(topic)

    def presume(self, topic: Topic) -> bool:
        """Take *topic*, once asked for, as confirmed where the venue confirms by data only.

        Returns:
            Whether it counts as confirmed from now on.
        """
        if self._endpoint is None or self._endpoint.acknowledges:
            return False
        return self._book.presume(topic)

    def phase(self, topic: Topic) -> TopicPhase | None:
        """Return how far the subscription to *topic* is; None when it is not wanted here."""
        return self._book.phase(topic)

    def confirmed_s(self, topic: Topic) -> float:
        """Return when *topic* was confirmed here, in the loop's time; minus infinity for never."""
        return self._book.confirmed_s(topic)

    @property
    def subscriptions(self) -> list[tuple[Topic, str, int, int]]:
        """Of each topic how far it is, how often it was asked for, and how many events came of it."""
        return self._book.told()

    @property
    def age_s(self) -> float | None:
        """How long it has been open; None before."""
        return None if self._stream is None else loop_s() - self._opened_s

    @property
    def ends_s(self) -> float | None:
        """When it has to end for its age, in the loop's time; None before it is open, or if it may last."""
        longest_s = None if self._endpoint is None else self._endpoint.max_age_s
        return None if self._stream is None or longest_s is None else self._opened_s + longest_s

    @property
    def silent_s(self) -> float | None:
        """How long ago its last frame came, or it was opened; None before."""
        return None if self._stream is None else loop_s() - self.frame_s

    @property
    def faults(self) -> int:
        """Troubles that the venue reported."""
        return self._said.faults

    @property
    def status(self) -> str:
        """The venue's last word on its own state."""
        return self._said.status

    @property
    def unrouted(self) -> int:
        """Data of topics that nobody asked for."""
        return self._book.unrouted

    @property
    def stray(self) -> str:
        """A topic that nobody ever wanted here, while its data comes: in the last minute; else nothing."""
        came = loop_s() - self._book.stray_s
        return "" if self._book.stray is None or came > STRAY_S else self._words.of(str(self._book.stray))

    @property
    def heard_ns(self) -> int:
        """When data last came, by our clock as it is set now; 0 before the first."""
        if self._heard_s is None:
            return 0
        return self._clock.now_ns() - round((loop_s() - self._heard_s) * SECOND_NS)

    @property
    def healthy_s(self) -> float:
        """For how many seconds data has been flowing."""
        return 0.0 if self._first_data_s is None else self.frame_s - self._first_data_s

    # ------------------------------------------------------------------------------------------ running

    async def run(self) -> None:
        """Live until the connection ends; always by an exception, or by cancellation.

        Raises:
            VenueError: The venue ended it or refused; the kind says what to do.
            TransportError: The connection failed, ended or went silent.
            PluginError: The adapter broke its contract.
        """
        why = "closed by us"
        try:
            outbox = await self._open()
            with unwrapped():
                async with children() as tasks:
                    tasks.create_task(self._watch(), name="watch")
                    tasks.create_task(self._keep_alive(outbox), name="keepalive")
                    tasks.create_task(outbox.change(self._ready, self._changed), name="change")
                    await self._pump()
        except WickwireError as exc:
            why = self._words.of(exc)
            raise
        finally:
            self.state = SessionState.DRAINING
            self._book.lost(why)
            try:
                if self._stream is not None:
                    await self._stream.aclose()
            finally:
                self.state = SessionState.CLOSED

    async def _open(self) -> Outbox:
        with self._adapter.calling("connect()"):
            told: object = self._adapter.connect(self._account, self._book.topics, self._clock.now_ns())
        if isinstance(told, Generator):
            told = await self._history.converse(told, Priority.LIVE)
        if not isinstance(told, Endpoint):
            raise self._adapter.broke(f"connect() returned {type(told).__name__}, expected an Endpoint")
        most = min(self._limits.topics_per_frame or sys.maxsize, told.topics_per_frame)
        self._endpoint = endpoint = attrs.evolve(told, topics_per_frame=most)
        with self._adapter.calling("memory()"):
            self._memory = endpoint.memory()
        async with self._admitted():
            self._stream = await self._transport.open(endpoint)
        self._outbox = outbox = Outbox(
            self._adapter,
            endpoint,
            self._memory,
            self._stream,
            self._book,
            self._limits,
            paced=self._paced,
            refused=self._said.refused,
        )
        self.frame_s = self._opened_s = loop_s()
        self.state = SessionState.AUTHENTICATING
        for send in endpoint.hello:
            await outbox.say(send.frame, secret=send.secret)
        if endpoint.ready is Readiness.ON_OPEN:
            self._begin()
        return outbox

    async def _control(self, event: object) -> None:
        """Take one event that is no data."""
        assert self._outbox is not None
        match event:
            case Send():
                await self._outbox.say(event.frame, secret=event.secret)
            case Ready():
                if not self._ready.is_set():
                    self._begin()
            case _:
                self._said.take(event)

    def _begin(self) -> None:
        self.state = SessionState.READY
        self._ready.set()
        self._changed.set()

    async def _pump(self) -> None:  # noqa: C901, PLR0912, PLR0915 - one loop, as calls would cost
        """Read for ever. The hot path: what stands in this loop is paid once a frame or once an event."""
        assert self._stream is not None
        receive, parse, memory = self._stream.receive, self._adapter.parse, self._memory
        book, now_s = self._book, asyncio.get_running_loop().time
        candles, trades, quotes = book.candles, book.trades, book.quotes
        reached = self._history.clocks.feed.reached
        while True:
            frame = await receive()
            self.frame_s = frame_s = now_s()
            self.frames += 1
            try:
                events = parse(frame, memory)
            except WireError as exc:
                self._refuse_frame(exc)
                continue
            except Exception as exc:  # whatever a plugin's code raises
                raise self._adapter.broke(f"parse() raised {type(exc).__name__}: {exc}") from exc
            kind = type(events)
            if kind is not tuple and kind is not list and not isinstance(events, Sequence):
                raise self._adapter.broke(f"parse() returned {events!r:.80}, expected a sequence of events")
            latest_ns, data = self.venue_ns, False
            try:
                for event in events:
                    if isinstance(event, Trade):
                        route = trades.get(event.symbol)
                        venue_ns = event.time_ns
                    elif isinstance(event, Candle):
                        route = candles.get((event.symbol, event.timeframe))
                        venue_ns = event.open_ns
                    elif isinstance(event, Quote):
                        route = quotes.get(event.symbol)
                        venue_ns = event.time_ns or 0
                    else:
                        await self._control(event)
                        continue
                    if route is None:
                        if book.astray(event, frame_s):
                            log.warning(
                                "data that nobody asked for",
                                extra={"venue": self._adapter.name, "topic": self._words.of(str(book.stray))},
                            )
                        continue
                    data = True
                    if venue_ns > latest_ns and not event.snapshot:
                        latest_ns = venue_ns
                    route(event)
            except MISFITS as exc:
                raise self._adapter.broke(f"parse() returned a wrong value: {described(exc)}") from exc
            if data:
                if latest_ns > self.venue_ns and (
                    latest_ns <= self._horizon_ns or self._is_plausible(latest_ns)
                ):
                    self.venue_ns = latest_ns
                    reached(latest_ns, frame_s)
                self._heard_s = frame_s
                if self._first_data_s is None:
                    self._first_data_s = frame_s
                    if self._flowing is not None:
                        self._flowing()

    def _is_plausible(self, venue_ns: int) -> bool:
        """Say whether the venue's clock may show *venue_ns* by now: one wrong time would close candles."""
        self._horizon_ns = self._history.clocks.latest_ns(self._clock.now_ns(), loop_s())
        return venue_ns <= self._horizon_ns

    def _tell_doubt(self, topics: Sequence[Topic], why: str) -> None:
        if self._tell is not None:
            at_ns = self._clock.now_ns()
            self._tell(Doubted(venue=self._scope, topics=tuple(topics), at_ns=at_ns, why=why))

    def _refuse_frame(self, error: WireError) -> None:
        self.junk += 1
        self.last_junk = self._words.of(error)
        if self.junk < self._junk_told:
            return
        self._junk_told = 10 * self.junk
        said = {"venue": self._adapter.name, "why": self.last_junk, "count": self.junk, "frames": self.frames}
        log.warning("frame refused", extra=said)
        if self._tell is not None:
            now_ns, count, why = self._clock.now_ns(), self.junk, self.last_junk
            refused = FrameRefused(venue=self._scope, at_ns=now_ns, count=count, frames=self.frames, why=why)
            self._tell(refused)

    # -------------------------------------------------------------------------------------- staying alive

    async def _watch(self) -> None:
        """End the connection when it is silent for too long or as old as it may get."""
        assert self._endpoint is not None
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        while True:
            if not self._ready.is_set() and loop.time() - self._opened_s >= READY_DEADLINE_S:
                raise TransportError(f"{self._adapter.name}: it was not ready within {READY_DEADLINE_S:g} s")
            left_s = self.frame_s + endpoint.silence_limit_s - loop.time()
            if left_s <= 0:
                raise TransportError(
                    f"{self._adapter.name}: nothing was received for {endpoint.silence_limit_s:g} s"
                )
            if endpoint.max_age_s is not None:
                age_left_s = self._opened_s + endpoint.max_age_s - loop.time()
                if age_left_s <= 0:
                    raise VenueError(
                        FaultKind.RESTART,
                        f"{self._adapter.name}: the connection reached its age of {endpoint.max_age_s:g} s",
                    )
                left_s = min(left_s, age_left_s)
            if not self._ready.is_set():
                left_s = min(left_s, self._opened_s + READY_DEADLINE_S - loop.time())
            await asyncio.sleep(max(left_s, _SOON_S))

    async def _keep_alive(self, outbox: Outbox) -> None:
        assert self._endpoint is not None
        assert self._stream is not None
        keepalive = self._endpoint.keepalive
        if keepalive is None:
            return
        while True:
            await asyncio.sleep(keepalive.every_s)
            if keepalive.frame is None:
                await self._stream.ping()
                self.frame_s = loop_s()
            else:
                await outbox.say(keepalive.frame)
