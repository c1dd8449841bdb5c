"""Wherever an adapter goes, in every environment of its venue, its simulated venue stands in for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest

from wickwire import (
    DAY_NS,
    HOUR_NS,
    Account,
    Endpoint,
    Feed,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Registry,
    Series,
    Topic,
    TradeQuery,
    VenueError,
    parse_instant,
)
from wickwire.adapter import Adapter
from wickwire.simulate import SeededMarket
from wickwire.simulate.server import Incoming, VenueServer

NOW_NS = parse_instant("2027-01-15T15:00:00Z")
SERIES = tuple(
    Series.parse(text)
    for text in (
        *("alpaca:AAPL@1m", "alpaca:BTC/USD@1m", "alpaca.sip:AAPL@1m"),
        *("coinbase:BTC/USD@1m", "kraken:BTC/USD@1m", "yahoo:AAPL@1m"),
        *("dxlink:AAPL@1m", "dxlink:BTC/USD@1m"),
    )
)
WAYS = [
    (series, environment)
    for series in SERIES
    for environment in Registry().load(series.venue).description.environments
]


Talk = Endpoint | Generator[Any, Any, Any]


def answered(server: VenueServer, request: HttpRequest) -> HttpReply:
    url = urlsplit(request.url)
    told = server.answer(
        Incoming(
            method=request.method,
            path=url.path,
            query=dict(parse_qsl(url.query)),
            headers={name.lower(): value for name, value in request.headers.items()} | {"host": url.netloc},
            body=request.body or b"",
        ),
        NOW_NS,
    )
    return HttpReply(status=told.status, body=told.body, headers=told.headers, date_ns=NOW_NS)


def origin_of(url: str) -> str:
    return f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"


def where_it_goes(talk: Talk, server: VenueServer) -> Iterator[str]:
    """Lead a conversation with *server*; a refusal ends it as well as an answer."""
    if isinstance(talk, Endpoint):
        yield origin_of(talk.url)
        return
    try:
        request = next(talk)
        while isinstance(request, HttpRequest):  # history over a stream goes where connect() says
            yield origin_of(request.url)
            request = talk.send(answered(server, request))
    except StopIteration as stop:
        if isinstance(stop.value, Endpoint):
            yield origin_of(stop.value.url)
    except VenueError:
        return


def conversations(adapter: Adapter, series: Series, account: Account) -> Iterator[Talk]:
    """Begin every conversation that *adapter* has."""
    symbol, what = series.symbol, series.what
    assert not isinstance(what, Feed)
    since_ns = NOW_NS - HOUR_NS
    if adapter.streams:
        yield adapter.connect(account, [Topic(symbol, what)], NOW_NS)
    if adapter.serves_history:
        asked = OhlcvQuery(symbol=symbol, timeframe=what, since_ns=since_ns, until_ns=NOW_NS, now_ns=NOW_NS)
        yield adapter.fetch_ohlcv(asked, account)
    if adapter.fetch_trades is not None:
        yield adapter.fetch_trades(
            TradeQuery(symbol=symbol, since_ns=since_ns, until_ns=NOW_NS, now_ns=NOW_NS), account
        )
    if adapter.list_instruments is not None:
        yield adapter.list_instruments("", account)


@pytest.mark.parametrize(("series", "environment"), WAYS, ids=str)
def test_the_simulated_venue_stands_in_wherever_the_adapter_goes(series, environment):
    adapter = Registry().load(series.venue)
    account = Account(environment=environment, feed=series.variant)
    told = adapter.description_for(account)
    secrets = {name: f"invented-{name}" for name in (*told.credentials, *told.stream_credentials)}
    account = attrs.evolve(account, secrets=secrets)
    assert adapter.simulate is not None
    server = adapter.simulate(SeededMarket(1, NOW_NS - DAY_NS))

    gone = {
        origin for talk in conversations(adapter, series, account) for origin in where_it_goes(talk, server)
    }

    assert gone
    assert gone <= {*server.stream_origins, *server.rest_origins}
