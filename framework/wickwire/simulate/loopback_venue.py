"""One simulated venue behind a port: aiohttp in, the pure server's answers out. The only user of aiohttp."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, final

from aiohttp import ClientConnectionError, WSMsgType, web

from wickwire.clock import Clock
from wickwire.endpoint import MEBIBYTE
from wickwire.errors import PluginError
from wickwire.scope import children
from wickwire.simulate.driver import Driver, asked, http_date, incoming
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Outgoing, VenueServer

__all__ = ["LoopbackVenue"]

UNSENT_FRAMES: Final = 256
"""With so many frames that the socket does not take, nothing more falls due: policy WAIT."""
MOST_UNSENT_FRAMES: Final = 65_536
"""With so many, since a client that asks and never reads is answered all the same, the venue hangs up."""
MAX_RECEIVED_BYTES: Final = 16 * MEBIBYTE
CLOSE_S: Final = 1.0
"""How long a client has for its half of the closing handshake."""
GOING_AWAY_S: Final = 0.3
"""How long all clients have when the venue itself goes."""

GOING_AWAY: Final = 1001
ABNORMAL_CLOSURE: Final = 1006
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011


@final
class LoopbackVenue:
    """Serves one `VenueServer`: every path, streams and requests on the same port.

    Attributes:
        server: What answers.
        bug: The first error that a simulator is to blame for.
    """

    def __init__(self, server: VenueServer, clock: Clock, *, compress: bool) -> None:
        self.server = server
        self.bug: PluginError | None = None
        self._clock = clock
        self._compress = compress
        self._links: dict[_Link, None] = {}
        self._gone = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port.

        Raises:
            OSError: The port is taken.
        """
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None), handle_signals=False, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Say goodbye to every client, wait a moment, then cut those who are left."""
        if self._links:
            self.hang_up(Hangup(GOING_AWAY, "going away"))
            try:
                async with asyncio.timeout(GOING_AWAY_S):
                    await self._gone.wait()
            except TimeoutError:
                for link in self._links:
                    link.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._links)

    def hang_up(self, hangup: Hangup) -> int:
        """End every stream and return how many there were."""
        for link in self._links:
            link.end(hangup)
        return len(self._links)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        came = incoming(request.method, request.raw_path, headers, await request.read())
        try:
            return await self._answer(request, came)
        except PluginError as exc:
            self.broke(exc)
            return self._reply(Answer(status=500, body=str(exc).encode(), content_type="text/plain"))

    async def _answer(self, request: web.BaseRequest, came: Incoming) -> web.StreamResponse:
        now_ns = self._clock.now_ns()
        if came.headers.get("upgrade", "").lower() != "websocket":
            return self._reply(asked(self.server.answer, came, now_ns))
        answer = asked(self.server.accept, came, now_ns)
        if isinstance(answer, Answer):
            return self._reply(answer)
        socket = web.WebSocketResponse(
            timeout=CLOSE_S, compress=self._compress, max_msg_size=MAX_RECEIVED_BYTES
        )
        socket.headers["Date"] = http_date(now_ns)
        await socket.prepare(request)
        link = _Link(request, socket, answer, self)
        self._links[link] = None
        self._gone.clear()
        try:
            await link.run(self._clock)
        finally:
            del self._links[link]
            if not self._links:
                self._gone.set()
        return socket

    def _reply(self, answer: Answer) -> web.Response:
        response = web.Response(status=answer.status, body=answer.body)
        response.headers["Content-Type"] = answer.content_type
        response.headers["Date"] = http_date(self._clock.now_ns())
        response.headers.update(answer.headers)
        return response

    def broke(self, bug: PluginError) -> None:
        """Remember a simulator's bug, to be raised where the venue is owned."""
        self.bug = self.bug or bug


@final
class _Link:
    """One client's stream: its reader, its writer, and the connection between them."""

    def __init__(
        self,
        request: web.BaseRequest,
        socket: web.WebSocketResponse,
        connection: Connection,
        venue: LoopbackVenue,
    ) -> None:
        self._request = request
        self._socket = socket
        self._connection = connection
        self._venue = venue
        self._unsent: deque[Outgoing] = deque()
        self._more = asyncio.Event()
        self._driver: Driver | None = None

    async def run(self, clock: Clock) -> None:
        """Serve the client until either side ends it."""
        self._driver = driver = Driver(self._connection, clock, emit=self._emit, broke=self._broke)
        async with children() as tasks:
            writer = tasks.create_task(self._write(driver), name="simulated venue's writer")
            driver.start()
            try:
                async for message in self._socket:
                    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        break
                    driver.received(message.data)
            finally:
                driver.stop()
                writer.cancel()

    def end(self, hangup: Hangup) -> None:
        """End the stream after what was said already, or now where there is no close frame."""
        if self._driver is not None:
            self._driver.stop()
        if hangup.code == ABNORMAL_CLOSURE:
            self.abort()
        else:
            self._unsent.append(hangup)
            self._more.set()

    def abort(self) -> None:
        """Cut the connection."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    def _emit(self, outgoing: Outgoing) -> None:
        self._unsent.append(outgoing)
        self._more.set()
        if len(self._unsent) >= MOST_UNSENT_FRAMES:
            self.end(Hangup(POLICY_VIOLATION, "too slow"))
        elif len(self._unsent) >= UNSENT_FRAMES and self._driver is not None:
            self._driver.pause()

    def _broke(self, bug: PluginError) -> None:
        self._venue.broke(bug)
        self.end(Hangup(INTERNAL_ERROR, "the simulator has a bug"))

    async def _write(self, driver: Driver) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._unsent:
                outgoing = self._unsent.popleft()
                try:
                    if not await self._send(outgoing):
                        return
                except ClientConnectionError:  # the client is gone; the reader learns of it too
                    driver.stop()
                    return
                if len(self._unsent) < UNSENT_FRAMES // 2:
                    driver.resume()

    async def _send(self, outgoing: Outgoing) -> bool:
        """Send one thing; return whether more may follow."""
        if isinstance(outgoing, str):
            await self._socket.send_str(outgoing)
            return True
        if isinstance(outgoing, bytes):
            await self._socket.send_bytes(outgoing)
            return True
        if outgoing.code == ABNORMAL_CLOSURE:
            self.abort()
        else:
            await self._socket.close(code=outgoing.code, message=outgoing.reason.encode())
        return False
