"""Serves candles over HTTP, and collects them for as long as it runs: `python fastapi_service.py`.

`/health` is for whoever sends requests here, such as a load balancer or a readiness probe. Do not have a
service restarted for it: a venue that is away comes back by itself, and the past is served meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from socket import socket
from typing import Annotated

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AwareDatetime, BaseModel

from wickwire import (
    HOUR_NS,
    CandleReader,
    Collector,
    Condition,
    HotMemory,
    Series,
    SeriesCandle,
    StoreError,
    UsageError,
    VenueHealth,
)

SERIES = ("kraken:BTC/USD@1m", "coinbase:BTC/USD@1m")
PAST_NS = 6 * HOUR_NS
READY = {Condition.LIVE, Condition.QUIET, Condition.POLLED, Condition.RECONNECTING}


class Bar(BaseModel):
    """A candle as it is served: prices are strings, with the digits that the venue sent."""

    series: str
    open_time: datetime
    close_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    state: str
    revision: int
    seq: int

    @classmethod
    def of(cls, candle: SeriesCandle) -> Bar:
        """Return *candle* as it is served."""
        told = {"series": str(candle.series), "state": str(candle.state)}
        return cls.model_validate({name: getattr(candle, name) for name in cls.model_fields} | told)


class State(BaseModel):
    """How each series is doing, and what is wrong."""

    series: Mapping[str, str]
    troubles: Mapping[str, str]


def is_gone(venue: VenueHealth) -> bool:
    """Say whether no connection to a venue stands where one should, or its REST is away where none does."""
    return not venue.connections and (venue.wanted_connections > 0 or venue.away_since_ns is not None)


def the_collector(request: Request) -> Collector:
    """Return what the lifespan of the app made."""
    collector: Collector = request.state.collector
    return collector


Running = Annotated[Collector, Depends(the_collector)]


async def collected(request: Request, collector: Running, series: str) -> Series:
    """Return the series that a path means, in the venue's spelling too; 404 says why there is none.

    FastAPI calls plain functions in threads, where a collector must not be used: so it is async.
    """
    try:
        name = collector.reader(series).series
    except UsageError as exc:
        raise HTTPException(404, str(exc)) from exc
    if name not in request.state.names:
        known = ", ".join(map(str, request.state.names))
        raise HTTPException(404, f"{name} is not collected here; there are {known}")
    return name


Collected = Annotated[Series, Depends(collected)]
routes = APIRouter()


@routes.get("/candles/{series:path}")
async def candles(
    collector: Running,
    series: Collected,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> list[Bar]:
    """Return closed candles that open in `[since, until)`; those of the last hour where nothing is said."""
    start = since or collector.health().at_ns - HOUR_NS
    return [Bar.of(one) for one in await collector.reader(series).range(start, until)]


@routes.get("/latest/{series:path}")
async def latest(collector: Running, series: Collected) -> Bar | None:
    """Return the running candle as far as it is known, else the last that closed."""
    found = await collector.latest(series)
    return Bar.of(found) if isinstance(found, SeriesCandle) else None


@routes.get("/stream/{series:path}", response_class=EventSourceResponse)
async def stream(
    request: Request,
    collector: Running,
    series: Collected,
    last_event_id: Annotated[int | None, Header()] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Tell of each candle as it closes; who comes back with the last id goes on there, and misses none."""
    reader = collector.candles(series, after_seq=last_event_id)
    streams: set[CandleReader] = request.app.state.streams
    streams.add(reader)
    try:
        async for candle in reader:
            yield ServerSentEvent(event="candle", id=str(candle.seq), data=Bar.of(candle))
    finally:
        streams.discard(reader)


@routes.get("/health")
async def health(collector: Running, response: Response) -> State:
    """Say 200 when every series is fresh, every venue is there and all is stored, else 503 and why."""
    now = collector.health()
    late = [one for one in now.series if one.condition not in READY]
    troubles = {str(one.series): one.trouble or one.why for one in late}
    told = {one.series.scope for one in late}
    for venue in now.venues:  # a series of hours or days is not late before its next candle is
        if is_gone(venue) and venue.venue not in told:
            troubles[venue.venue] = venue.trouble
    if now.store_trouble:
        troubles["store"] = now.store_trouble
    response.status_code = 503 if troubles else 200
    return State(series={str(one.series): str(one.condition) for one in now.series}, troubles=troubles)


async def unreadable(_: Request, exc: Exception) -> Response:
    """Say that the store cannot be read just now."""
    return JSONResponse({"detail": str(exc)}, 503)


def service(collector: Collector, *, series: Sequence[str] = SERIES, drain_s: float = 10.0) -> FastAPI:
    """Return an app that collects while it runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        async with collector:
            since_ns = collector.health().at_ns - PAST_NS
            names = [await collector.add(one, since=since_ns) for one in series]
            yield {"collector": collector, "names": names}
            await collector.stop(drain=drain_s)

    app = FastAPI(title="Candles", lifespan=lifespan)
    app.state.streams = set()
    app.include_router(routes)
    app.add_exception_handler(StoreError, unreadable)
    return app


class Server(uvicorn.Server):
    """Ends open streams when it is told to stop: uvicorn waits for responses, and these have no end."""

    def __init__(self, app: FastAPI, *, port: int = 8000, patience_s: int = 10) -> None:
        """Serve on loopback; what is not answered *patience_s* after the signal is cut."""
        super().__init__(uvicorn.Config(app, port=port, timeout_graceful_shutdown=patience_s))
        self._app = app

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let each stream tell what it has, and end."""
        for reader in self._app.state.streams:
            reader.end()
        await super().shutdown(sockets)


if __name__ == "__main__":
    Server(service(Collector("sqlite:candles.db", hot=HotMemory()))).run()
