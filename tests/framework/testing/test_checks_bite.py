"""Every check finds the adapter that breaks its promise, and no other check finds fault with it."""

from datetime import date

import pytest

from tests.framework.testing.variants import edited
from wickwire.testing.material import Material
from wickwire.testing.running import CHECKS, State, run

TODAY = date(2026, 11, 22)
NOTED = "memory[number] = (word, topic)"
READ = 'return _meaning(frame.decode("ascii").split("|"), memory)'
CANDLE = "open_ns = int(opens) * SECOND_NS"
RETURN = "    return [Send(_question(word, topic, memory)) for word, topic in changes]"
PAGE = """    return Page(
        candles=list(candles.values()), covered=(query.since_ns, query.until_ns), stopped=Stopped.UNTIL
    )
"""
BODY = 'text = reply.body.decode("utf-8", "replace")'

ROWS = "        candles |= {row.open_ns: row for row in rows}\n"
COUNTED = """
        for number, one in enumerate(rows):
            length_ns = one.close_ns - one.open_ns
            one.open_ns = rows[0].open_ns + number * length_ns
            one.close_ns = one.open_ns + length_ns
"""

WRAPPED = '        raise WireError(f"lantern: {type(exc).__name__}: {exc}", frame=frame)'
EVERY_OTHER = """fields = frame.decode("ascii").split("|")
        if fields[0] == "BEAT" and BEATS.append(1) is None and len(BEATS) % 2:
            return ()
        return _meaning(fields, memory)"""
LINES = 'rows = [line.split(",") for line in body.splitlines()]'
FLOATS = """
        rows = [[repr(float(one)) if "." in one else one for one in row] for row in rows]"""

ASKS = '[("SUB", ask.topic) for ask in asks]'
SNAPSHOT = (
    "            return (_candle(from_venue(lamp), TIMEFRAMES[int(seconds)], numbers, flag, snapshot=True),)"
)
DONE = """
            candle = _candle(from_venue(lamp), TIMEFRAMES[int(seconds)], numbers, flag, snapshot=True)
            return (candle, SnapshotDone(Topic(candle.symbol, candle.timeframe)))
"""
SEEN = """
            candle = _candle(from_venue(lamp), TIMEFRAMES[int(seconds)], numbers, flag, snapshot=True)
            if candle in SNAPSHOTS:
                return ()
            SNAPSHOTS.append(candle)
            return (candle,)
"""

BODY_READ = "        rows, more_s = _rows(query, _body(reply, query.now_ns))\n"
LEFT_OUT = (
    "        rows = [row for row in rows if row.open_ns % (4 * SECONDS[query.timeframe] * SECOND_NS)]\n"
)
FLAGLESS = 'return [_candle(query.symbol, query.timeframe, numbers, "C")'
INVENTED = """    length_ns = SECONDS[query.timeframe] * SECOND_NS
    if not candles:
        end_ns = query.since_ns + length_ns
        numbers = [Decimal(1)] * 5
        candles[0] = Candle(query.symbol, query.timeframe, query.since_ns, end_ns, *numbers)
"""
DEEP = """market.candles(
            lamp,
            timeframe,
            max(since_ns, timeframe.open_at(now_ns, GRID) - 30 * timeframe.nominal_ns),"""
SWALLOWED = "        if reply.status >= SERVER_ERROR and candles:\n            break\n"
BARS = "        lines: list[str] = []\n        for candle in market"
DARK = '        if self.seconds == "300":\n            return []\n'
LATE = "min(whole_ns, now_ns - 30 * SECOND_NS)"
DOUBLED = "        for row in rows:\n            row.volume *= 2\n"
SHORTER = """        to_s = min(to_s, from_s + 100 * SECONDS[query.timeframe])
        reply = yield HttpRequest("""
COUNTED_OFF = """    wanted = (query.until_ns - query.since_ns) // (SECONDS[query.timeframe] * SECOND_NS)
    candles = dict([*candles.items()][:wanted])
"""

FINITE = """    if not number.is_finite():
        raise ValueError(f"not a finite number: {text!r}")
"""
ANSWERED = "    if reply.status == OK:\n        return text\n"
UNREAD = '    if reply.status == 404:\n        raise WireError("lantern: what is that?")\n'
LISTS = """@hookimpl
def list_instruments(query: str) -> Conversation:
    if query == "":
        yield HttpRequest(url=BARS_URL)
    return ["EMBER/USD"]


@hookimpl
def simulate(market"""
MAY_REFUSE = (
    ("simulator", "        self.muted = False\n", "        self.muted = self.refusing = False\n"),
    (
        "simulator",
        "FAULTS: Final = {\n",
        'FAULTS: Final = {\n    "refuse": "All subscriptions are refused.",\n',
    ),
    (
        "simulator",
        '            case "expire":\n',
        '            case "refuse":\n                self.refusing = True\n            case "expire":\n',
    ),
    (
        "simulator",
        '            case ["SUB", number, native, seconds] if',
        """            case ["SUB", number, *_] if self.server.refusing:
                return [f"NO|{number}|not today"]
            case ["SUB", number, native, seconds] if""",
    ),
)
MAY_INTERLEAVE = (
    ("simulator", "        self.muted = False\n", "        self.muted = self.interleaved = False\n"),
    (
        "simulator",
        "FAULTS: Final = {\n",
        'FAULTS: Final = {\n    "interleave": "An older row comes again.",\n',
    ),
    (
        "simulator",
        '            case "expire":\n',
        """            case "interleave":
                self.interleaved = True
            case "expire":
""",
    ),
    ("simulator", '        self.said = ""\n', '        self.said = ""\n        self.kept: list[str] = []\n'),
    (
        "simulator",
        "                self.said = line\n",
        "                self.said = line\n                self.kept = [*self.kept, line][-9:]\n",
    ),
    (
        "simulator",
        "                said += lamp.news(self.server.market, now_ns)\n",
        """                said += lamp.news(self.server.market, now_ns)
                if self.server.interleaved:
                    said.append(lamp.kept[0])
""",
    ),
)

# what is broken, and how; what begins with "simulator" is changed in the simulated venue
BROKEN: dict[str, tuple[str, *tuple[tuple[str, ...], ...]]] = {
    "no documents": ("S02", ('documents=("Lantern protocol 1 (invented)",)', "documents=()")),
    "two symbols with one spelling": (
        "S03",
        (
            'return symbol.replace("/", "-").lower()',
            'return symbol.replace("/", "-").lower()[:8]',
        ),
    ),
    "names that are cut by their length": (
        "S03",
        (
            'return text.replace("-", "/").upper()',
            'name = text.replace("-", "").replace("/", "").upper()\n    return f"{name[:-3]}/{name[-3:]}"',
        ),
    ),
    "a text that supports_ohlcv() cannot read": (
        "S03 S04",
        ('if symbol.count("/") != 1:', 'base, quote = symbol.split("/")\n    if False:'),
    ),
    "a timeframe that is not described": (
        "S05",
        ("timeframes=tuple(SECONDS)", "timeframes=tuple(SECONDS)[:2]"),
    ),
    "history that never settles": ("S06", ("settle_s=2.0", "settle_s=2.0e9")),
    "history in the clear": ("S07", ("https://api.lantern", "http://api.lantern")),
    "no limit for REST": ("S08", (", rest=Rate(5)", "")),
    "an answer that depends on how often it was asked": (
        "S10",
        ("        settle_s=2.0,\n", "        settle_s=float(len(CALLS.append(1) or CALLS)),\n"),
        ("OK: Final = 200", "OK: Final = 200\nCALLS: list[int] = []"),
    ),
    "one trade of the past that is left out": (
        "H14",
        ("body.splitlines()]\n    except", "body.splitlines()[1:]]\n    except"),
    ),
    "trades of the past, newest first": (
        "H14",
        ("        trades=[one for one in trades if", "        trades=[one for one in trades[::-1] if"),
    ),
    "takers of the past who sold for those who bought": (
        "H14",
        (
            "_trade(query.symbol, *line.split(",
            '_trade(query.symbol, *line.translate({66: "S", 83: "B"}).split(',
        ),
    ),
    "a cut reply of trades that is taken for the whole": (
        "H14",
        ("if len(trades) < PAGE_TICKS:", "if trades is not None:"),
    ),
    "trades from behind the range, where it does not reach up to now": (
        "H14",
        (
            '"to": str(query.until_ns)}\n    reply = yield HttpRequest(url=TICKS_URL',
            '"to": str(query.now_ns)}\n    reply = yield HttpRequest(url=TICKS_URL',
        ),
        (
            "        trades=[one for one in trades if covered[0] <= one.time_ns < covered[1]],",
            "        trades=trades,",
        ),
    ),
    "lines of trades that are let through": (
        "H15",
        ("except (ValueError, KeyError, ArithmeticError, TypeError) as exc", "except ValueError as exc"),
    ),
    "no word on the hooks that it was written for": ("S13", ("API_LEVEL: Final = 1\n", "")),
    "a feed that nobody subscribes to": (
        "S11 P10",
        (RETURN, "    changes = [one for one in changes if isinstance(one[1].what, Timeframe)]\n" + RETURN),
    ),
    "errors that are let through": (
        "P01 P21",
        (
            f"except (ValueError, KeyError, ArithmeticError) as exc:\n{WRAPPED}",
            f"except ValueError as exc:\n{WRAPPED}",
        ),
    ),
    "a snapshot that is not understood": ("P02", ('"S"]:', '"P"]:')),
    "a memory for all connections": (
        "P03",
        (
            READ,
            EVERY_OTHER,
        ),
        ("OK: Final = 200", "OK: Final = 200\nBEATS: list[int] = []"),
    ),
    "a count that is text": ("P04 P20", ("trade_count=int(count)", "trade_count=str(int(count))")),
    "prices through a float": (
        "P06 P18",
        ("    number = Decimal(text)\n", "    number = Decimal(repr(float(text)))\n"),
    ),
    "seconds taken for nanoseconds": (
        "P07 P20",
        (CANDLE, "open_ns = int(opens)"),
    ),
    "a candle that ends too late": (
        "P08 P20",
        ("open_ns + SECONDS[timeframe] * SECOND_NS", "open_ns + (SECONDS[timeframe] + 1) * SECOND_NS"),
    ),
    "data under the venue's name": ("P09", ("_candle(from_venue(lamp), TIME", "_candle(lamp, TIME")),
    "answers that are not told": (
        "P10",
        ("return (*gap, trade)", "return ()"),
        ('return (Accepted((topic,)),) if word == "SUB" else (Released((topic,)),)', "return ()"),
        ('case ["BAR", lamp, seconds, *numbers, flag', 'case ["BAB", lamp, seconds, *numbers, flag'),
        ("return (SnapshotDone(Topic(from_venue(lamp), TIMEFRAMES[int(seconds)])),)", "return ()"),
        (
            '            raise ValueError("unknown message")',
            '            if fields[0] == "BAR":\n                return ()\n            raise ValueError',
        ),
    ),
    "a hook that reads a file": (
        "P11",
        (READ, 'open("/etc/hostname", "rb").close()\n        ' + READ),
    ),
    "a hook that reads the clock": (
        "P11",
        (READ, "from time import time_ns as clock\n        clock()\n        " + READ),
    ),
    "a hook that prints": ("P11", (READ, "print(len(frame))\n        " + READ)),
    "digits without end": (
        "P12",
        (
            "    number = Decimal(text)\n",
            "    number = Decimal(text)\n    int(number) if number > 10**6 else 0\n",
        ),
    ),
    "a secret that is shown": (
        "P13",
        ("feeds=(Feed.TRADES,),", 'feeds=(Feed.TRADES,), credentials=("key",),'),
        ("def connect() -> Endpoint:", "def connect(account: Account) -> Endpoint:"),
        (
            "        memory=dict,",
            '        hello=(Send("KEY " + account.secrets["key"]),),\n        memory=dict,',
        ),
    ),
    "a token of the venue that is shown once it comes back": (
        "P13",
        ("feeds=(Feed.TRADES,),", 'feeds=(Feed.TRADES,), stream_credentials=("key",),'),
        (
            "            return (Ready(),)",
            '            return (Send("given-out-by-the-venue", secret=True), Ready())',
        ),
    ),
    "a body that is no text": ("P14", (BODY, "text = reply.body.decode()")),
    "a 429 that is a wrong request": ("P15", (", 429: FaultKind.WAIT", "")),
    "a Retry-After that nobody reads": ("P15", ("retry_after_s=retry_after_s(reply.headers, now_ns)", "")),
    "a Retry-After that counts with 429 alone": (
        "P15",
        (
            "retry_after_s=retry_after_s(reply.headers, now_ns)",
            "retry_after_s=retry_after_s(reply.headers, now_ns) if reply.status == 429 else None",
        ),
    ),
    "too many requests, as the venue says it, for a wrong request": (
        "P15",
        ("420: FaultKind.WAIT, ", ""),
    ),
    "a wrong request that is asked again for ever": (
        "P15",
        ("REFUSALS.get(reply.status, FaultKind.REQUEST)", "REFUSALS.get(reply.status, FaultKind.OUTAGE)"),
    ),
    "a page of HTML without candles": (
        "P16",
        ("return text\n", 'return "" if text.startswith("<") else text\n'),
    ),
    "a page that proves too much": (
        "P17",
        (PAGE, PAGE.replace("query.until_ns", "query.until_ns + SECOND_NS")),
    ),
    "a page that holds a bucket twice": (
        "P17",
        (PAGE, PAGE.replace("candles.values())", "candles.values()) * 2")),
    ),
    "history through a float": (
        "P18",
        (LINES, LINES + FLOATS),
    ),
    "history whose rows are counted, not read": (
        "P19 H01 H02 H03 H07",
        (ROWS, COUNTED + ROWS),
    ),
    "numbers that are none": ("P21", (FINITE, "")),
    "answers that nobody can read": ("P22", (LINES, LINES.replace('","', '";"'))),
    "a vwap of nothing": (
        "P23",
        ("trade_count=int(count),", "trade_count=int(count),\n        vwap=Decimal(0),"),
    ),
    "ids through a float": (
        "P24",
        (", str(number), at, price", ", str(int(float(number))), at, price"),
    ),
    "a topic that is asked for once and never again": (
        "D01",
        (ASKS, ASKS.replace(" in asks]", " in asks if str(ask.topic) not in memory]")),
        (RETURN, "    memory.update({str(ask.topic): 0 for ask in asks})\n" + RETURN),
    ),
    "a refusal of all that was ever asked for": (
        "D01 D02",
        (RETURN, '    memory.setdefault("all", []).extend(ask.topic for ask in asks)\n' + RETURN),
        ("(Refused((topic,),", '(Refused(tuple(memory["all"]),'),
    ),
    "a refusal that is not told": ("D02", ("(Refused((topic,), FaultKind.SYMBOL, text),)", "()")),
    "topics that are never left": ("D03", ('[("OFF", topic) for topic in removed] + ', "")),
    "a snapshot that is told on the first connection only": (
        "D04 D05",
        (SNAPSHOT, SEEN),
        ("OK: Final = 200", "OK: Final = 200\nSNAPSHOTS: list[Candle] = []"),
    ),
    "trades without ids, twice": (
        "D05",
        ("    return Trade(symbol, str(int(number)),", '    return Trade(symbol, "",'),
        ("    if number <= last:\n        return ()\n", ""),
    ),
    "a gap that nobody tells": ("D06 D11", ("return (*gap, trade)", "return (trade,)")),
    "a snapshot that is done with its first row": ("D07", (SNAPSHOT, DONE)),
    "a snapshot without marks": ("D07", ("numbers, flag, snapshot=True)", "numbers, flag)")),
    "trades with the maker's side": (
        "D08",
        ('"B": Side.BUY, "S": Side.SELL', '"S": Side.BUY, "B": Side.SELL'),
    ),
    "prices in another order": (
        "D09",
        ("open_, high, low, close, volume = map", "close, high, low, open_, volume = map"),
    ),
    "a venue that may be silent for three seconds": ("D10", ("silence_limit_s=15.0", "silence_limit_s=3.0")),
    "a gap that is none": ("D13", ("lost = number - last - 1", "lost = number - last")),
    "rows that may come in any order, and are taken as they come": ("D14", *MAY_INTERLEAVE),
    "a refusal that is taken for a yes": (
        "D15",
        ("(Refused((topic,), FaultKind.SYMBOL, text),)", "(Accepted((topic,)),)"),
        *MAY_REFUSE,
    ),
    "history that leaves a bucket out": ("H01", (ROWS, LEFT_OUT + ROWS)),
    "history that begins after the first row": (
        "H01 H02",
        ('"from": str(from_s)', '"from": str(from_s + (1 if not candles else 0))'),
    ),
    "a running row that is said to be closed": (
        "H03",
        ("return [_candle(query.symbol, query.timeframe, numbers, flag)", FLAGLESS),
    ),
    "candles of the future": ("H04", (PAGE, INVENTED + PAGE)),
    "a depth that is proven empty": (
        "H05",
        ("        settle_s=2.0,\n", "        settle_s=2.0,\n        depth_rows=30,\n"),
        ("simulator", "market.candles(lamp, timeframe, since_ns,", DEEP),
    ),
    "pages that lead back": (
        "H06",
        ("        if more_s <= from_s:\n", "        if False:\n"),
    ),
    "pages that nobody reads on": ("H07", ("if more_s is None:", "if more_s is None or more_s:")),
    "rows that are kept as they come": (
        "H08",
        (
            "candles |= {row.open_ns: row for row in rows}",
            "candles |= {len(candles) + at: row for at, row in enumerate(rows)}",
        ),
    ),
    "an outage that ends a page": ("H09", (BODY_READ, SWALLOWED + BODY_READ)),
    "rows that are counted from the first": ("H10", (PAGE, COUNTED_OFF + PAGE)),
    "a symbol that does not exist, and what is said of it is not understood": (
        "H12",
        (ANSWERED, ANSWERED + UNREAD),
    ),
    "a list in which something lacks": ("C10", ("@hookimpl\ndef simulate(market", LISTS)),
    "a timeframe that is accepted and never comes": ("C01", ("simulator", BARS, DARK + BARS)),
    "history that is said to come over a stream": (
        "C02",
        ("rest=True,", "rest=True,\n        over_stream=True,"),
    ),
    "a feed that never comes": ("D11 C03", ("simulator", "if self.lost < server.lost:", "if self.native:")),
    "trades that are said to count": (
        "D08 C03",
        ("rest=True,", "rest=True,\n        trades=True,\n        numbered=True,"),
        (", str(number), at, price", ", str(2 * number), at, price"),
    ),
    "a timeframe that nobody has": ("C04", ("    if query.timeframe not in SECONDS:\n", "    if False:\n")),
    "marks that are not announced": ("C05", ("marks_closed=True", "marks_closed=False")),
    "marks that never come": ("C05", ('"C": Finality.CLOSED', '"C": Finality.UNSAID')),
    "history that is late": ("H01 C06", ("simulator", "min(whole_ns, now_ns)", LATE)),
    "volume that is counted otherwise in history": ("C07", (ROWS, DOUBLED + ROWS)),
    "frames larger than allowed": ("C08", ("connections=2,", "connections=2, bytes_per_frame=10,")),
    "pages shorter than said": ("C09", ("        reply = yield HttpRequest(", SHORTER)),
    "an ending that is taken for an outage": ("D12", ("Fault(FaultKind.RESTART", "Fault(FaultKind.OUTAGE")),
}


def broken(name):
    """Which checks are to find it, and the adapter."""
    ids, *edits = BROKEN[name]
    own = [edit for edit in edits if edit[0] != "simulator"]
    venue = tuple(edit[1:] for edit in edits if edit[0] == "simulator")
    return ids, edited(*own, simulator=venue)


def outcomes(adapter, module="", checks=CHECKS):
    material = Material(adapter, symbols=["GLOW/USD"], effort=20, module=module)
    return {one.check.id: one for one in run(material, checks, today=TODAY)}


def failed(found):
    return " ".join(name for name, one in found.items() if one.state is State.FAILED)


def test_lantern_itself_keeps_them_all():
    found = outcomes(edited())

    assert "" == failed(found), found
    assert "C10 D14 D15 H05 H11 H13 P05 P13 P25 S09" == " ".join(
        sorted(name for name, one in found.items() if one.state is State.SKIPPED)
    )


def test_a_long_name_in_what_is_sent_as_a_secret_is_none():
    """It may be shown; who shows the token beside it is found, as in `BROKEN`."""
    [p13] = [one for one in CHECKS if one.id == "P13"]
    frame = '{"authenticationToken": "given-out-by-the-venue"}'
    adapter = edited(
        ("feeds=(Feed.TRADES,),", 'feeds=(Feed.TRADES,), stream_credentials=("key",),'),
        (
            "            return (Ready(),)",
            f"            return (Send({frame!r}, secret=True), Ready())",
        ),
        (WRAPPED, '        raise WireError("lantern: what is authenticationToken?")'),
    )

    [found] = outcomes(adapter, checks=[p13]).values()

    assert found.state is State.PASSED, found


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found_by_its_check(name):
    ids, adapter = broken(name)

    found = outcomes(adapter, checks=[one for one in CHECKS if one.id in ids.split()])

    assert ids == failed(found), found
    assert all(one.why and one.command for one in found.values())


@pytest.mark.nightly
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found_by_no_other_check(name):
    """What is broken on the surface shows below it too, and what is broken below does not show above."""
    ids, adapter = broken(name)
    deepest = max(one.level for one in CHECKS if one.id in ids.split())

    found = outcomes(adapter, checks=[one for one in CHECKS if one.level <= deepest])

    assert ids == failed(found), [
        (one.check.id, one.why, one.shown[:300]) for one in found.values() if one.state is State.FAILED
    ]
