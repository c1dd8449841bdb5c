"""The simulated Alpaca by itself: keys, subscriptions, errors, data, each as its documents have it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from wickwire import MINUTE_NS, SECOND_NS, Timeframe, Utc, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Hangup, Incoming
from wickwire_alpaca.simulator import AlpacaServer

NOW = parse_instant("2026-11-20T15:04:20Z")  # a Friday morning in New York
MARKET = SeededMarket(11, parse_instant("2026-11-18T00:00:00Z"))
OK = {"T": "success", "msg": "authenticated"}
JSON: dict[str, str] = {}
MSGPACK = {"content-type": "application/msgpack"}
CRYPTO = "/v1beta3/crypto/us"


def error(code: int, msg: str) -> list[dict[str, object]]:
    return [{"T": "error", "code": code, "msg": msg}]


class Client:
    """One connection, spoken to by hand."""

    def __init__(
        self, server: AlpacaServer, path: str = "/v2/iex", headers: dict[str, str] = JSON, now_ns: int = NOW
    ) -> None:
        self.packs = headers == MSGPACK
        self.now_ns = now_ns
        connection = server.accept(Incoming(method="GET", path=path, query={}, headers=headers), now_ns)
        assert not isinstance(connection, Answer)
        self.connection = connection
        self.greeting = [self.read(frame) for frame in connection.opened(now_ns)]

    def read(self, frame: Any) -> Any:
        if isinstance(frame, Hangup):
            return frame
        if self.packs:
            assert isinstance(frame, bytes)
            return msgspec.msgpack.decode(frame)
        assert isinstance(frame, str)
        return json.loads(frame)

    def say(self, message: object) -> Any:
        """Return the answer to a message."""
        frame = msgspec.msgpack.encode(message) if self.packs else json.dumps(message)
        return self.read(self.connection.received(frame, self.now_ns)[-1])

    def auth(self, key: str = "PKTEST") -> Any:
        return self.say({"action": "auth", "key": key, "secret": "SECRET"})

    def subscribe(self, **channels: list[str]) -> Any:
        [row] = self.say({"action": "subscribe", **channels})
        return row

    def rows(self, until_ns: int) -> list[Any]:
        """Return all rows of data up to an instant."""
        found: list[Any] = []
        while self.now_ns < until_ns:
            self.now_ns = min(until_ns, self.connection.next_ns(self.now_ns))
            found += [row for frame in self.connection.due(self.now_ns) for row in self.read(frame)]
        return found


@pytest.fixture
def server() -> AlpacaServer:
    return AlpacaServer(MARKET)


@pytest.fixture
def client(server: AlpacaServer) -> Client:
    made = Client(server)
    assert made.auth() == [OK]
    return made


# --------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("headers", [JSON, MSGPACK])
def test_it_welcomes_first_and_authenticates_by_message(
    server: AlpacaServer, headers: dict[str, str]
) -> None:
    client = Client(server, headers=headers)

    assert client.greeting == [[{"T": "success", "msg": "connected"}]]
    assert client.auth() == [OK]
    assert client.auth() == error(403, "already authenticated")


def test_keys_in_the_headers_authenticate_at_once(server: AlpacaServer) -> None:
    client = Client(server, headers={"apca-api-key-id": "PKTEST", "apca-api-secret-key": "SECRET"})

    assert client.greeting[1] == [OK]


def test_wrong_keys_and_subscriptions_without_keys_are_refused(server: AlpacaServer) -> None:
    client = Client(server)

    assert client.say({"action": "subscribe", "bars": ["AAPL"]}) == error(401, "not authenticated")
    assert client.auth("BADKEY") == error(402, "auth failed")
    assert client.auth() == [OK]


def test_who_does_not_authenticate_within_ten_seconds_is_sent_away(server: AlpacaServer) -> None:
    client = Client(server)

    assert client.connection.due(NOW + 9 * SECOND_NS) == []
    told, end = client.connection.due(NOW + 10 * SECOND_NS)
    assert client.read(told) == error(404, "auth timeout")
    assert isinstance(end, Hangup)


def test_who_has_not_authenticated_yet_keeps_nobody_busy(server: AlpacaServer) -> None:
    """A half-minute passes, which is due only to who is told of it (seed 531: ten million calls)."""
    begins_ns = NOW + 5 * SECOND_NS
    connection, now_ns, calls = Client(server, now_ns=begins_ns).connection, begins_ns, 0
    while not (out := connection.due(now_ns)) or not isinstance(out[-1], Hangup):
        now_ns, calls = connection.next_ns(now_ns), calls + 1
        assert calls < 100
    assert now_ns == begins_ns + 10 * SECOND_NS


def test_an_endpoint_has_one_place_for_each_key_and_frees_it_when_nobody_is_there(
    server: AlpacaServer, client: Client
) -> None:
    second, other, elsewhere = Client(server), Client(server), Client(server, CRYPTO)

    assert second.auth() == error(406, "connection limit exceeded")
    assert other.auth("PKOTHER") == [OK]
    assert elsewhere.auth() == [OK]
    late = Client(server, now_ns=NOW + 3 * SECOND_NS)
    assert late.auth() == [OK], "the first one was not heard of for three seconds"
    assert client.connection is not late.connection


def test_a_feed_beyond_the_plan_is_refused_as_the_answer_to_the_keys(server: AlpacaServer) -> None:
    assert Client(server, "/v2/sip").auth() == error(409, "insufficient subscription")
    assert Client(server, "/v2/delayed_sip").auth() == [OK]
    server.inject("plan", name="plus")
    assert Client(server, "/v2/sip").auth() == [OK]


@pytest.mark.parametrize("path", ["/", "/v1beta2/crypto", "/v2/otc", "/stream"])
def test_other_paths_are_not_served(server: AlpacaServer, path: str) -> None:
    answer = server.accept(Incoming(method="GET", path=path, query={}, headers={}), NOW)

    assert isinstance(answer, Answer)
    assert answer.status == 404


# ------------------------------------------------------------------------------------------ subscriptions


def test_an_answer_holds_the_whole_set_with_every_channel_of_the_feed(client: Client) -> None:
    client.subscribe(bars=["AAPL", "MSFT"], trades=["AAPL"])
    row = client.subscribe(quotes=["SPY"])

    assert list(row) == [
        *("T", "trades", "quotes", "bars", "updatedBars", "dailyBars"),
        *("statuses", "lulds", "corrections", "cancelErrors"),
    ]
    assert (row["bars"], row["quotes"], row["updatedBars"]) == (["AAPL", "MSFT"], ["SPY"], [])
    assert row["corrections"] == row["cancelErrors"] == ["AAPL"]

    [row] = client.say({"action": "unsubscribe", "bars": ["MSFT"], "trades": ["AAPL"]})
    assert (row["bars"], row["trades"], row["corrections"]) == (["AAPL"], [], [])


def test_each_feed_has_channels_of_its_own(server: AlpacaServer) -> None:
    for path, channels in (
        (CRYPTO, ["trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"]),
        ("/v2/test", ["trades", "quotes", "bars"]),
    ):
        client = Client(server, path)
        client.auth()
        assert list(client.subscribe())[1:] == channels


@pytest.mark.parametrize(
    ("message", "code", "msg"),
    [
        ({"action": "subscribe", "orderbooks": ["AAPL"]}, 410, "invalid subscribe action for this feed"),
        ({"action": "subscribe", "corrections": ["AAPL"]}, 410, "invalid subscribe action for this feed"),
        ({"action": "subscribe", "bars": ["BTC/USD"]}, 400, "invalid syntax"),
        ({"action": "subscribe", "bars": "AAPL"}, 400, "invalid syntax"),
        ({"action": "subscribe", "bars": [7]}, 400, "invalid syntax"),
        ({"action": "dance"}, 400, "invalid syntax"),
        ([], 400, "invalid syntax"),
        (None, 400, "invalid syntax"),
    ],
)
def test_a_bad_request_changes_nothing(client: Client, message: object, code: int, msg: str) -> None:
    client.subscribe(bars=["AAPL"])

    assert client.say(message) == error(code, msg)
    assert client.subscribe()["bars"] == ["AAPL"]


def test_a_symbol_that_does_not_exist_is_confirmed_and_silent(client: Client) -> None:
    assert client.subscribe(bars=["ZZQQTESTX"])["bars"] == ["ZZQQTESTX"]
    assert client.rows(NOW + 2 * MINUTE_NS) == []


def test_the_free_plan_has_thirty_symbols_and_no_star(client: Client) -> None:
    half, many = ([f"A{number}" for number in range(count)] for count in (15, 40))

    assert client.subscribe(trades=half, quotes=half)["quotes"] == half
    assert client.subscribe(bars=many, updatedBars=many)["bars"] == many
    assert client.say({"action": "subscribe", "trades": ["B"]}) == error(405, "symbol limit exceeded")
    assert client.say({"action": "subscribe", "bars": ["*"]}) == error(405, "symbol limit exceeded")
    assert client.subscribe()["trades"] == half


def test_the_free_plan_may_count_other_channels(server: AlpacaServer, client: Client) -> None:
    server.inject("plan", name="basic", symbols=2, channels="bars")

    assert client.subscribe(bars=["A", "B"], trades=["C"])["bars"] == ["A", "B"]
    assert client.say({"action": "subscribe", "bars": ["C"]}) == error(405, "symbol limit exceeded")


# --------------------------------------------------------------------------------------------------- data


def test_a_bar_comes_after_its_minute_where_there_were_trades(client: Client) -> None:
    client.subscribe(bars=["AAPL", "DUSK"])
    rows = client.rows(NOW + 10 * MINUTE_NS)
    end_ns = (NOW // MINUTE_NS + 10) * MINUTE_NS
    since_ns = NOW // MINUTE_NS * MINUTE_NS

    for symbol in ("AAPL", "DUSK"):
        truth = MARKET.candles(symbol, Timeframe.parse("1m"), since_ns, end_ns, grid=Utc())
        assert [parse_instant(row["t"]) for row in rows if row["S"] == symbol] == [
            candle.open_ns for candle in truth
        ]
    first = rows[0]
    assert list(first) == ["T", "S", "o", "h", "l", "c", "v", "n", "vw", "t"]
    assert first["t"] == "2026-11-20T15:04:00Z"


def test_a_crypto_minute_without_trades_is_made_of_quotes(server: AlpacaServer) -> None:
    client = Client(server, CRYPTO)
    client.auth()
    client.subscribe(bars=["XTZ/BTC"])
    rows = client.rows(NOW + 10 * MINUTE_NS)

    assert len(rows) == 10
    [quote] = [MARKET.quote("XTZ/BTC", NOW)]
    assert {(row["v"], row["n"], row["vw"]) for row in rows[:1]} == {(0, 0, 0)}
    assert rows[0]["o"] == rows[0]["c"] == float((quote.bid + quote.ask) / 2)


@pytest.mark.parametrize("path", ["/v2/iex", CRYPTO])
def test_msgpack_says_the_same_as_json_with_timestamps(server: AlpacaServer, path: str) -> None:
    symbol = "BTC/USD" if path == CRYPTO else "AAPL"
    told = {}
    for key, headers in (("PKJSON", JSON), ("PKPACK", MSGPACK)):
        client = Client(server, path, headers)
        client.auth(key)
        client.subscribe(trades=[symbol], quotes=[symbol], bars=[symbol])
        told[key] = client.rows(NOW + MINUTE_NS)

    assert len(told["PKJSON"]) > 10
    for text, packed in zip(told["PKJSON"], told["PKPACK"], strict=True):
        assert next(iter(packed)) == "T"
        assert {**packed, "t": None} == {**text, "t": None}
        assert int(packed["t"].timestamp() * 1e6) == pytest.approx(parse_instant(text["t"]) / 1e3)


def test_times_end_where_only_zeros_would_follow(client: Client) -> None:
    client.subscribe(trades=["AAPL"])
    times = [row["t"] for row in client.rows(NOW + 2 * MINUTE_NS)]

    assert all(
        text.endswith("Z") and not text.removesuffix("Z").endswith("0") for text in times if "." in text
    )


def test_a_late_trade_brings_an_updated_bar_at_the_half_minute(server: AlpacaServer, client: Client) -> None:
    client.subscribe(bars=["AAPL"], updatedBars=["AAPL"])
    [bar] = client.rows(NOW + 50 * SECOND_NS)
    server.inject("late_trade", symbol="AAPL", ago_s=30)
    before = client.rows(NOW + 65 * SECOND_NS)
    [updated] = client.rows(NOW + 75 * SECOND_NS)

    assert before == []
    assert (updated["T"], updated["t"], updated["n"]) == ("u", bar["t"], bar["n"] + 1)


def test_a_correction_and_a_cancellation_come_with_the_trades(server: AlpacaServer, client: Client) -> None:
    client.subscribe(trades=["AAPL"])
    client.rows(NOW + MINUTE_NS)
    server.inject("correct_trade", symbol="AAPL")
    server.inject("cancel_trade", symbol="AAPL")
    rows = client.rows(NOW + MINUTE_NS + SECOND_NS)

    assert {"c", "x"} <= {row["T"] for row in rows}


def test_the_day_so_far_opens_at_midnight_in_new_york(client: Client) -> None:
    client.subscribe(dailyBars=["SPY"])
    first, second = client.rows(NOW + 2 * MINUTE_NS)

    assert first["t"] == second["t"] == "2026-11-20T05:00:00Z"
    assert first["v"] <= second["v"]


def test_the_test_stream_never_rests(server: AlpacaServer) -> None:
    sunday_ns = parse_instant("2026-11-22T12:00:00Z")
    client = Client(server, "/v2/test", now_ns=sunday_ns)
    client.auth()
    client.subscribe(bars=["FAKEPACA"])

    assert client.rows(sunday_ns + 5 * MINUTE_NS)


def test_the_delayed_feed_tells_what_happened_a_quarter_of_an_hour_ago(server: AlpacaServer) -> None:
    client = Client(server, "/v2/delayed_sip")
    client.auth()
    client.subscribe(bars=["AAPL"])

    assert client.rows(NOW + MINUTE_NS)[0]["t"] == "2026-11-20T14:49:00Z"


# -------------------------------------------------------------------------------------------------- faults


def test_a_slow_client_is_told_and_cut(server: AlpacaServer, client: Client) -> None:
    server.inject("slow_client")
    told, end = client.connection.due(NOW + SECOND_NS)

    assert client.read(told) == error(407, "slow client")
    assert end == Hangup(1006)


def test_a_halt_reaches_those_who_asked_for_statuses(server: AlpacaServer, client: Client) -> None:
    client.subscribe(statuses=["AAPL"])
    server.inject("status", symbol="AAPL", code="H", text="Trading Halt")
    [row] = client.rows(NOW + SECOND_NS)

    assert (row["T"], row["sc"], row["sm"]) == ("s", "H", "Trading Halt")


@pytest.mark.parametrize(
    ("fault", "details"),
    [("hiccup", {}), ("mute_symbol", {}), ("mute_symbol", {"symbol": "NOPE"}), ("mute", {"loud": True})],
)
def test_what_cannot_be_injected_is_refused(
    server: AlpacaServer, fault: str, details: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="fault"):
        server.inject(fault, **details)


def test_every_fault_has_a_sentence(server: AlpacaServer) -> None:
    assert all(sentence.endswith(".") for sentence in server.faults.values())


def test_nothing_can_be_corrected_before_anything_was_traded() -> None:
    server = AlpacaServer(SeededMarket(7, NOW))

    with pytest.raises(ValueError, match="nothing of AAPL was traded yet"):
        server.inject("correct_trade", symbol="AAPL")
