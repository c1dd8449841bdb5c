"""A venue that sends as fast as it can: a WebSocket server with frames made beforehand.

flood.py FRAMES FIRST_MINUTE    prints its port; sends after the client's first message, then stays open
Requests are answered as by a venue that has no history.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

FRAMES_A_MINUTE = 50
"""Each fiftieth frame begins a minute, and so closes the one before."""
CHUNK_BYTES = 65_536


def update(number: int, first_minute: int) -> bytes:
    """Return update *number* of the running minute, shaped as Kraken's."""
    minute, place = divmod(number, FRAMES_A_MINUTE)
    begin, end = (
        time.strftime("%Y-%m-%dT%H:%M:00", time.gmtime((first_minute + minute + n) * 60)) for n in (0, 1)
    )
    return (
        f'{{"channel":"ohlc","type":"update","timestamp":"{begin}.5Z","data":[{{"symbol":"BTC/USD",'
        f'"open":{minute}.5,"high":{minute + place}.5,"low":{minute}.5,"close":{minute + place}.5,'
        f'"trades":{place + 1},"volume":{place + 1}.25,"vwap":{minute}.5,'
        f'"interval_begin":"{begin}.000000000Z","interval":1,"timestamp":"{end}.000000Z"}}]}}'
    ).encode()


def accepted(asked: str | bytes) -> bytes:
    """Return the answer to a subscription."""
    request = json.loads(asked)
    result = {"channel": "ohlc", "interval": 1, "snapshot": True, "symbol": "BTC/USD"}
    answer = {"method": "subscribe", "req_id": request["req_id"], "result": result, "success": True}
    return json.dumps(
        {**answer, "time_in": "2026-11-20T15:00:00Z", "time_out": "2026-11-20T15:00:00Z"}
    ).encode()


def no_history(connection: ServerConnection, request: Request, now_s: int) -> Response | None:
    """Answer what is no WebSocket, dated *now_s*, when the last frame is sent: the venue has one clock."""
    if "Upgrade" in request.headers:
        return None
    response = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "no history here\n")
    del response.headers["Date"]
    response.headers["Date"] = formatdate(now_s, usegmt=True)
    return response


async def main(count: int, first_minute: int) -> None:
    """Serve until killed."""
    frames = [
        Frame(Opcode.TEXT, update(number, first_minute)).serialize(mask=False) for number in range(count)
    ]

    async def flood(connection: ServerConnection) -> None:
        await connection.send(accepted(await connection.recv()), text=True)
        chunk = bytearray()
        for frame in frames:
            chunk += frame
            if len(chunk) > CHUNK_BYTES or frame is frames[-1]:
                connection.transport.write(bytes(chunk))
                chunk.clear()
                while connection.transport.get_write_buffer_size() > CHUNK_BYTES:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.001)
        await connection.wait_closed()

    answer = partial(no_history, now_s=(first_minute + count // FRAMES_A_MINUTE) * 60)
    async with serve(
        flood, "127.0.0.1", 0, compression=None, ping_interval=None, process_request=answer
    ) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
