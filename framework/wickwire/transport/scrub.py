"""Takes secrets out of what is recorded: those we know, and those that a name or form gives away."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, final
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

__all__ = ["MASK", "Scrubber"]

MASK: Final = "***"
SHORTEST: Final = 4
"""A known secret of fewer characters is not looked for: it would be found all over the prices."""

_NAMES: Final = (
    r"(?:(?:access|refresh|id|api|auth|session|api[_-]?quote)[_-]?)?token|api[_-]?key|(?:api|client)[_-]?secret"
    r"|secret|password|passphrase|signature|jwt|authorization|cookie|crumb"
)
_MEMBER: Final = re.compile(rf'("(?:{_NAMES})"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE)
_PARAMETER: Final = re.compile(rf"(?:{_NAMES}|key|sig|auth|nonce|otp|listen[_-]?key)", re.IGNORECASE)
# RFC 7519: three base64url parts, of which the first begins as '{"' does.
_JWT: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*", re.ASCII)


@final
class Scrubber:
    """Masks secrets in text, bytes, URLs and parameters."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know *secrets* in every spelling in which they travel: plain, in JSON, in URLs, in base64."""
        spellings: dict[str, None] = {}
        for secret in secrets:
            if len(secret) < SHORTEST:
                continue
            encoded = base64.b64encode(secret.encode()).decode()
            for one in (
                secret,
                json.dumps(secret)[1:-1],
                quote(secret),
                quote(secret, safe=""),
                quote_plus(secret),
                encoded,
            ):
                for form in (one, one.replace("/", r"\/")):
                    spellings[form] = None
                    spellings[form.encode().decode("latin-1")] = None  # as `data` meets it
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if '"' in text:
            text = _MEMBER.sub(rf'\1"{MASK}"', text)
        return _JWT.sub(MASK, text) if "eyJ" in text else text

    def data(self, data: bytes) -> bytes:
        """Return *data*, which need not be text, without secrets."""
        # latin-1 makes one character of every byte, and the same byte of it again.
        return self.text(data.decode("latin-1")).encode("latin-1")

    def params(self, params: Mapping[str, str]) -> dict[str, str]:
        """Return *params* with secret values masked, by name and by value."""
        return {
            name: MASK if _PARAMETER.fullmatch(name) else self.text(value) for name, value in params.items()
        }

    def url(self, url: str) -> str:
        """Return *url* with a secret user, query value or path part masked, and no fragment."""
        place, _, query = url.partition("#")[0].partition("?")
        scheme, separator, rest = place.partition("://")
        authority, slash, path = rest.partition("/")
        place = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
        if query:
            pairs = self.params(dict(parse_qsl(query, keep_blank_values=True)))
            place = f"{place}?{urlencode(pairs, safe='*')}"
        return self.text(place)
