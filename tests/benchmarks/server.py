"""The other end of the benchmark: a WebSocket server that writes frames made beforehand, flooding or paced.

Run as a process of its own; prints its port. The opening request's path says what to send:
`/KIND/COUNT/RATE/v2` with KIND ohlc1, trade1 or trade50, and RATE in frames a second, 0 for a flood.
"""

from __future__ import annotations

import asyncio
import sys
import time

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

BUCKET_FRAMES = 50
"""Frames of one minute: each fiftieth closes a candle."""
CHUNK_BYTES = 65_536


def ohlc(number: int, first_minute: int) -> bytes:
    """Return one update of the running bucket, shaped as Kraken's."""
    minute = first_minute + number // BUCKET_FRAMES
    begin, end = (time.strftime("%Y-%m-%dT%H:%M:00", time.gmtime((minute + n) * 60)) for n in (0, 1))
    return (
        f'{{"channel":"ohlc","type":"update","timestamp":"{begin}.524394914Z","data":[{{"symbol":"BTC/USD",'
        f'"open":95020.0,"high":95025.5,"low":95019.9,"close":95025.5,"trades":{number % BUCKET_FRAMES + 1},'
        f'"volume":0.1125{number % 10_000:04d},"vwap":95024.9,"interval_begin":"{begin}.000000000Z",'
        f'"interval":1,"timestamp":"{end}.000000Z"}}]}}'
    ).encode()


def trades(number: int, size: int) -> bytes:
    """Return one message of *size* trades, shaped as Kraken's."""
    first = number * size
    rows = ",".join(
        f'{{"symbol":"BTC/USD","side":"buy","price":95025.5,"qty":0.10000000,"ord_type":"limit",'
        f'"trade_id":{70_000_000 + first + n},'
        f'"timestamp":"2026-11-21T05:00:13.{(first + n) % 1_000_000:06d}Z"}}'
        for n in range(size)
    )
    return f'{{"channel":"trade","type":"update","data":[{rows}]}}'.encode()


def payloads(kind: str, count: int) -> list[bytes]:
    """Return *count* messages; those of candles end with the running minute, as the future is refused."""
    first_minute = int(time.time()) // 60 - count // BUCKET_FRAMES
    if kind == "ohlc1":
        return [ohlc(number, first_minute) for number in range(count)]
    return [trades(number, int(kind.removeprefix("trade"))) for number in range(count)]


def wire(kind: str, count: int) -> list[bytes]:
    """Return *count* WebSocket frames as they go over the wire."""
    return [Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads(kind, count)]


async def answer(connection: ServerConnection) -> None:
    """Send what the path asks for, after the client's first message, and close."""
    assert connection.request is not None
    _, kind, count, rate, *_ = connection.request.path.split("/")
    frames = wire(kind, int(count))
    await connection.recv()
    if float(rate):
        step_s, due_s = 1 / float(rate), time.perf_counter()
        for frame in frames:
            due_s += step_s
            while time.perf_counter() < due_s:  # sleeping is too coarse at 10,000 a second
                pass
            connection.transport.write(frame)
            await asyncio.sleep(0)
    else:
        chunk = bytearray()
        for frame in frames:
            chunk += frame
            if len(chunk) > CHUNK_BYTES:
                connection.transport.write(bytes(chunk))
                chunk.clear()
                while connection.transport.get_write_buffer_size() > 4 * CHUNK_BYTES:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.001)
        connection.transport.write(bytes(chunk))
    await connection.wait_closed()


async def main() -> None:
    """Serve until killed."""
    async with serve(answer, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
