"""Planted secrets never come out again: not in errors, not in logs, not in recordings (S1, I11)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import Endpoint, HttpRequest, WickwireError
from wickwire.transport.scrub import MASK, Scrubber

CANARIES = {
    "key": "canary-key-0001",
    "secret": "canary/secret+0002==",
    "token": "canary.token.0003",
    "cookie": "canary-cookie-0004",
    "userinfo": "canary-userinfo-0005",
    "query": "canary-query-0006",
}
HEADERS = {
    "X-Key": CANARIES["key"],
    "Authorization": f"Bearer {CANARIES['token']}",
    "X-Secret": CANARIES["secret"],
    "Cookie": f"session={CANARIES['cookie']}",
}


def hits(text):
    """Return which canaries *text* holds, in any spelling."""
    spellings = {
        name: {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
        for name, value in CANARIES.items()
    }
    return [name for name, values in spellings.items() if any(value in text for value in values)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"junk\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    ],
)
@pytest.mark.parametrize(
    "place", ["127.0.0.1:{port}", "127.0.0.1:1", f"{CANARIES['userinfo']}:x@127.0.0.1:{{port}}"]
)
def test_no_failure_and_no_log_shows_a_secret(raw_venue, net, caplog, answer, place):
    """With everything logged that any library cares to log."""
    caplog.set_level(logging.DEBUG)
    errors: list[WickwireError] = []

    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            transport = net()
            where = f"{place.format(port=port)}/{CANARIES['key']}?token={CANARIES['query']}"
            endpoint = Endpoint(url=f"ws://{where}", headers=HEADERS)
            request = HttpRequest(
                url=f"http://{where.partition('?')[0]}", params={"token": CANARIES["query"]}, headers=HEADERS
            )
            for use, asks in ((transport.open, endpoint), (transport.request, request)):
                try:
                    await use(asks)
                except WickwireError as exc:
                    errors.append(exc)
            await transport.aclose()

    asyncio.run(main())

    assert errors
    for error in errors:
        assert hits("".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))) == []
    assert hits(caplog.text) == []


@pytest.mark.parametrize("secret", CANARIES.values())
def test_a_known_secret_is_masked_however_it_is_spelled(secret):
    scrubber = Scrubber(CANARIES.values())
    spellings = [
        secret,
        json.dumps({"s": secret}),
        json.dumps({"s": secret}).replace("/", r"\/"),
        f"https://h/x?s={quote(secret)}",
        f"https://h/x?s={quote(secret, safe='')}",
        base64.b64encode(secret.encode()).decode(),
    ]
    for text in spellings:
        assert hits(scrubber.text(text).replace(r"\/", "/")) == []
        assert MASK in scrubber.text(text)
        assert MASK.encode() in scrubber.data(b"\xff" + text.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"type":"AUTH","channel":0,"token":"abc"}', '{"type":"AUTH","channel":0,"token":"***"}'),
        ('{"access_token" : "a\\"b", "expires":1}', '{"access_token" : "***", "expires":1}'),
        ('{"session-token":"abc","x":"token"}', '{"session-token":"***","x":"token"}'),
        ('{"jwt":"abc"}', '{"jwt":"***"}'),
        ('{"sub":"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"}', '{"sub":"***"}'),
        ('{"next_page_token":"QUFQTA==","price":"1.10"}', '{"next_page_token":"QUFQTA==","price":"1.10"}'),
        ('{"channel":"ohlc","data":[{"open":64001.10}]}', '{"channel":"ohlc","data":[{"open":64001.10}]}'),
    ],
)
def test_secrets_that_nobody_told_us_are_known_by_name_or_form(before, after):
    """And nothing else is touched: prices keep their digits, pages their tokens."""
    assert Scrubber().text(before) == after


def test_a_url_loses_its_user_and_its_secret_parameters():
    scrubber = Scrubber(["s3cret-path"])

    assert (
        scrubber.url("wss://user:pw@h/s3cret-path?feed=sip&token=abc&x=a%20b#f")
        == "wss://h/***?feed=sip&token=***&x=a+b"
    )
    assert scrubber.params({"pair": "BTC/USD", "apiKey": "abc", "since": "1"}) == {
        "pair": "BTC/USD",
        "apiKey": "***",
        "since": "1",
    }


@given(st.text(min_size=4, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_known_secret_survives_in_text_or_bytes(secret, before, after):
    """Whatever stands around it, though a mask in it may look like one of three stars."""
    scrubber = Scrubber([secret])
    text = f"{before}{secret}{after}"

    assert secret not in scrubber.text(text).replace(MASK, "\x00")
    assert secret.encode() not in scrubber.data(text.encode()).replace(MASK.encode(), b"\x00")


@given(st.binary(max_size=60))
def test_without_secrets_bytes_stay_as_they_are(data):
    if b"eyJ" not in data and b'"' not in data:
        assert Scrubber(["canary"]).data(data) == data
