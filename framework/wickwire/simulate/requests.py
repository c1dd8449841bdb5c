"""How a client without sockets asks a simulated venue, and what it is told: requests, openings, replies."""

from __future__ import annotations

from urllib.parse import urlencode

from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import Endpoint
from wickwire.simulate.driver import http_date, incoming
from wickwire.simulate.server import Answer, Incoming
from wickwire.transport.failures import date_ns
from wickwire.transport.origins import Address

__all__ = ["opening_of", "reply_of", "request_of"]


def request_of(request: HttpRequest, address: Address) -> Incoming:
    """Return *request*, which leads to *address*, as a simulated venue sees it."""
    target = address.target
    if request.params:
        target += f"{'&' if '?' in target else '?'}{urlencode(request.params)}"
    headers = {"host": address.origin.host, **request.headers}
    return incoming(request.method, target, headers, request.body or b"")


def opening_of(endpoint: Endpoint, address: Address) -> Incoming:
    """Return the opening request of a stream that leads to *address*, as a simulated venue sees it."""
    headers = {"host": address.origin.host, "upgrade": "websocket", **endpoint.headers}
    return incoming("GET", address.target, headers)


def reply_of(answer: Answer, now_ns: int) -> HttpReply:
    """Return what a client is told where a simulated venue gives *answer* at *now_ns*."""
    told = {
        "content-type": answer.content_type,
        "date": http_date(now_ns),
        **{name.lower(): value for name, value in answer.headers.items()},
    }
    return HttpReply(status=answer.status, body=answer.body, headers=told, date_ns=date_ns(told))
