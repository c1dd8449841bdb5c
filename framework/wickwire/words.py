"""What others say - venues, plugins, transports - made fit for a log line, a table, a status."""

from __future__ import annotations

from typing import Final, final

from wickwire.credentials import where_from
from wickwire.description import Account
from wickwire.transport.scrub import Scrubber

__all__ = ["LONGEST", "Words"]

LONGEST: Final = 400
"""Characters that are kept: enough for any sentence, too few for a page of HTML."""


@final
class Words:
    """Shows what was said: in one line, not too long, without control characters and without our secrets."""

    def __init__(self, account: Account) -> None:
        """Know the secrets of *account*, to leave them out."""
        self._scrubber = Scrubber(account.secrets.values())
        self._variables = account.variables

    def of(self, said: object) -> str:
        """Return the text of *said*, an error or a venue's words; refused secrets by their variables."""
        text = f"{self._scrubber.text(str(said))}{where_from(said, self._variables)}"
        if len(text) > LONGEST:
            text = f"{text[: LONGEST - 3]}..."
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: LONGEST // 2])
