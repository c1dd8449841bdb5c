"""Where redirects lead away from, and those that nobody would use.

A typo in one must not send anybody to the real venue in silence.

Where a venue is, its adapter may only learn from the venue. So what is nearly the address that an adapter
does tell is refused before anything connects; of the rest the transport tells at the end.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wickwire.transport.origins import redirect_table

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["leads_elsewhere", "mistyped", "origins_of"]

_NEARLY: Final = 0.9
"""So alike are an address and its typo; `wss://ws-auth.` and `wss://ws.` of one venue are 0.88."""


def origins_of(adapter: Adapter) -> tuple[Sequence[str], Sequence[str]]:
    """Return where the streams and the REST of a venue are, as far as its adapter tells."""
    from wickwire.simulate import SeededMarket

    if adapter.simulate is not None:
        server = adapter.simulate(SeededMarket(0, 0))
        return server.stream_origins, server.rest_origins
    endpoint = adapter.endpoint_told()
    if endpoint is None:
        return (), ()
    url = urlsplit(endpoint.url)
    return (f"{url.scheme}://{url.netloc}",), ()


def leads_elsewhere(redirects: Mapping[str, str], adapter: Adapter) -> bool:
    """Say whether one of *redirects* leads away from the venue of *adapter*, as far as it is known where.

    Raises:
        ConfigError: One of them is no origin.
    """
    known = {origin for origins in origins_of(adapter) for origin in origins}
    sources = {str(origin) for origin in redirect_table(redirects)}
    return bool(sources & known) or (adapter.simulate is None and bool(sources))


def mistyped(redirects: Mapping[str, str], adapters: Iterable[Adapter]) -> tuple[str, str] | None:
    """Return a source of *redirects* that none of *adapters* uses, and the address that must be meant.

    Raises:
        ConfigError: One of them is no origin.
    """
    if not redirects:
        return None
    written = {str(origin): text for text in redirects for origin in redirect_table({text: redirects[text]})}
    known = [origin for adapter in adapters for origins in origins_of(adapter) for origin in origins]
    left = [origin for origin in known if origin not in written]
    for origin, text in written.items():
        close = difflib.get_close_matches(origin, left, n=1, cutoff=_NEARLY)
        if origin not in known and close:
            return text, close[0]
    return None
