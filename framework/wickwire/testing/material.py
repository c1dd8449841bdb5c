"""What a run has of one adapter: its symbols, frames with the memory they were parsed with, and pages.

It comes from a folder of samples, and, where the adapter has `simulate`, from dialogues that are held here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.description import Account, Description
from wickwire.endpoint import Endpoint, Topic
from wickwire.errors import VenueError, WickwireError
from wickwire.model import Candle, Quote, Trade
from wickwire.testing.checks import Need, Skipped
from wickwire.testing.pages import Fetched
from wickwire.testing.playing import NOW_NS, Playing, topics_of
from wickwire.testing.samples import Samples, read_samples
from wickwire.testing.sitting import Asked
from wickwire.testing.stages import Dialogue, Stage, asks_of, followed, picked

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["Material", "secrets_of"]

MOST_FRAMES: Final = 48
MOST_ACCOUNTS: Final = 12
SAMPLED: Final = (Need.FRAMES, Need.PAGES, Need.REPLIES)
"""What samples can bring, too."""
CANARY: Final = "canary-{}-5f1d0c7e9b"


@final
class Material:
    """One adapter, and all that can be said to it.

    Attributes:
        name: The venue.
        problem: Why it is no adapter; empty where it is one.
        seed: What everything that is drawn follows from.
        effort: How many examples a check tries.
        module: What to import to load it again: a module's name, or a file; empty where neither is known.
        folder: Of samples; None where there is none.
        given: The symbols that were named, as they were.
        examples: How many inputs were tried so far.
    """

    def __init__(
        self,
        adapter: Adapter | None,
        *,
        name: str = "",
        problem: str = "",
        module: str | Path = "",
        samples: Path | None = None,
        symbols: Sequence[str] = (),
        seed: int = 1,
        effort: int = 50,
        now_ns: int = NOW_NS,
    ) -> None:
        """Take what there is; nothing is read or called yet.

        Args:
            adapter: None where it could not be loaded.
            name: The venue, where there is no adapter.
            problem: Why there is none.
            module: See above.
            samples: A folder.
            symbols: What to ask for, in any spelling of the venue; else what its simulated venue knows.
            seed: Any integer.
            effort: At least 1.
            now_ns: When dialogues with its simulated venue begin.
        """
        self._adapter = adapter
        self.name = adapter.name if adapter is not None else name
        self.problem = problem
        self.module = module
        self.seed = seed
        self.effort = effort
        self.examples = 0
        self.folder = samples
        self.given = tuple(symbols)
        self._now_ns = now_ns

    @property
    def adapter(self) -> Adapter:
        """What is checked."""
        assert self._adapter is not None, self.problem
        return self._adapter

    @property
    def code(self) -> Mapping[CodeType, str]:
        """The code of the adapter's hooks."""
        return {} if self._adapter is None else self._adapter.code

    def count(self, examples: int = 1) -> None:
        """Count inputs that were tried."""
        self.examples += examples

    def count_or_skip(self, examples: int, why_none: str) -> None:
        """Count inputs that were tried.

        Raises:
            Skipped: There were none; *why_none* says why.
        """
        self.count(examples)
        if not examples:
            raise Skipped(why_none)

    # ------------------------------------------------------------------------------------- what is told

    @functools.cached_property
    def accounts(self) -> Sequence[Account]:
        """Whom it may be asked for: every environment and variant, with invented secrets; default first."""
        public = self.adapter.description_for(Account()) if self.describes_to_all else None
        environments = public.environments if public else ("production",)
        variants = ("", *public.variants) if public else ("",)
        made = []
        for environment in environments:
            for feed in variants:
                bare = Account(environment=environment, feed=feed)
                try:
                    made.append(attrs.evolve(bare, secrets=secrets_of(self.adapter.description_for(bare))))
                except WickwireError:
                    continue
        return made[:MOST_ACCOUNTS] or [Account()]

    @functools.cached_property
    def describes_to_all(self) -> bool:
        """Whether it describes itself to those who hold no account."""
        try:
            self.adapter.description_for(Account())
        except VenueError:
            return False
        return True

    def described(self, account: Account) -> Description:
        """Return what it is for *account*."""
        return self.adapter.description_for(account)

    @property
    def account(self) -> Account:
        """The first of the accounts."""
        return self.accounts[0]

    @functools.cached_property
    def symbols(self) -> Sequence[str]:
        """What can be asked for: as given, else in samples, else what the simulated venue knows."""
        if self.given:
            return tuple(dict.fromkeys(map(self.adapter.canonical, self.given)))
        series = [one.symbol for talk in self.samples.talks for one in talk.series]
        told = [
            event.symbol
            for stage in self._sampled_bare
            for event in stage.step.events
            if isinstance(event, Candle | Trade | Quote)
        ]
        played = [symbol for account in self.playing.accounts for symbol in self.playing.known(account)]
        return tuple(dict.fromkeys([*series, *played, *told]))

    def topics(self, account: Account) -> Sequence[Topic]:
        """Return what may be subscribed to for *account*, of the first two symbols."""
        return [topic for symbol in self.symbols[:2] for topic in topics_of(self.adapter, symbol, account)]

    # ----------------------------------------------------------------------------------- what was said

    @functools.cached_property
    def playing(self) -> Playing:
        """The simulated venue, and all that was said to it."""
        return Playing(self.adapter, self.accounts, self.given, self.seed, self._now_ns)

    def at(self, now_ns: int) -> Material:
        """Return the same at another time, without samples."""
        return Material(self._adapter, symbols=self.given, seed=self.seed, effort=self.effort, now_ns=now_ns)

    @functools.cached_property
    def samples(self) -> Samples:
        """What the folder holds; nothing where there is none."""
        return Samples() if self.folder is None else read_samples(self.folder)

    def of_samples(self) -> Material | None:
        """Return the same with nothing of its samples read by the adapter yet; None where there are none.

        What else reading takes, such as symbols and how a stream is opened, is known already.
        """
        if self.samples == Samples():
            return None
        again = Material(
            self._adapter, samples=self.folder, symbols=self.symbols, seed=self.seed, effort=self.effort
        )
        again.__dict__.update(
            samples=self.samples, endpoint=self.endpoint, accounts=self.accounts, playing=self.playing
        )
        return again

    def read_samples(self) -> None:
        """Let the adapter read every sample."""
        if self.adapter.streams:
            _ = self.sampled
        if self.adapter.serves_history:
            _ = self._answered

    @functools.cached_property
    def endpoint(self) -> Endpoint | None:
        """How the first account's stream is opened; None where only a conversation could tell."""
        opened = self.adapter.connect(self.account, (), self.playing.now_ns) if self.adapter.streams else None
        if isinstance(opened, Endpoint) or opened is None:
            return opened
        opened.close()
        return next((one.endpoint for one in self.playing.dialogues), None)

    @functools.cached_property
    def _sampled_bare(self) -> Sequence[Stage]:
        """The single frames of the samples, each on a connection that has not asked for anything."""
        endpoint = self.endpoint if self.samples.frames else None
        if endpoint is None:
            return ()
        bare = [
            followed(self.adapter, self.account, endpoint, name, [frame])
            for name, frame in self.samples.frames
        ]
        return [stage for one in _written(bare) for stage in one.stages]

    @functools.cached_property
    def recorded(self) -> Sequence[Dialogue]:
        """The recorded connections, and each single frame on one that waits for answers."""
        endpoint = self.endpoint if self.samples.frames or self.samples.talks else None
        if endpoint is None:
            return ()
        found = []
        for talk in self.samples.talks:
            topics = [
                Topic(self.adapter.canonical(one.symbol), one.what) for one in talk.series
            ] or self.topics(self.account)
            steps: list[Asked | bytes] = [*talk.greeting, *asks_of(topics, endpoint), *talk.frames]
            found.append(followed(self.adapter, self.account, endpoint, talk.source, steps))
        topics = self.topics(self.account)
        for name, frame in self.samples.frames if topics else ():
            asked: list[Asked | bytes] = [*asks_of(topics, endpoint), frame]
            found.append(followed(self.adapter, self.account, endpoint, name, asked))
        return _written(found)

    @property
    def sampled(self) -> Sequence[Stage]:
        """Every frame of the samples, with each memory that it was parsed with."""
        return [*self._sampled_bare, *(stage for one in self.recorded for stage in one.stages)]

    @property
    def dialogues(self) -> Sequence[Dialogue]:
        """What was said with the simulated venue, of which something was asked that exists."""
        return _written(self.playing.dialogues)

    @functools.cached_property
    def stages(self) -> Sequence[Stage]:
        """Frames of every kind that came, a few of each."""
        played = [stage for one in self.dialogues for stage in one.stages]
        return picked([*played, *self.sampled], MOST_FRAMES)

    @functools.cached_property
    def fetched(self) -> Sequence[Fetched]:
        """Answers to `fetch_ohlcv`, those that brought candles first."""
        if not self.adapter.serves_history:
            return ()
        found = [one for one in (*self._answered, *self.playing.fetched) if not _is_unwritten(one.bug)]
        return sorted(found, key=lambda one: not (one.page is not None and one.page.candles))

    @functools.cached_property
    def _answered(self) -> Sequence[Fetched]:
        """What `fetch_ohlcv` makes of the replies among the samples."""
        bodies = [*self.samples.bodies]
        if not self.adapter.streams:  # then they can be nothing else
            bodies += [(name, frame, None) for name, frame in self.samples.frames]
        return self.playing.of_bodies(bodies, self.symbols[:3]) if bodies else ()

    @property
    def pages(self) -> Sequence[Fetched]:
        """Those of them that brought candles."""
        return [one for one in self.fetched if one.page is not None and one.page.candles]

    @property
    def replied(self) -> Sequence[Fetched]:
        """Those of them that came over HTTP, a few."""
        return [one for one in self.fetched if one.replies][:6]

    # -------------------------------------------------------------------------------------- what lacks

    def lacking(self, need: Need) -> str:
        """Return why a check that needs *need* cannot be made, or nothing."""
        there = {
            Need.STREAM: lambda: self.adapter.streams,
            Need.HISTORY: lambda: self.adapter.serves_history,
            Need.DISTRIBUTION: lambda: bool(self.module),
            Need.SYMBOLS: lambda: bool(self.symbols),
            Need.FRAMES: lambda: bool(self.stages),
            Need.DIALOGUES: lambda: bool(self.dialogues),
            Need.SERVED: lambda: bool(self.playing.fetched),
            Need.COLLECTED: lambda: bool(self.playing.collected),
            Need.PAGES: lambda: bool(self.pages),
            Need.REPLIES: lambda: bool(self.replied),
            Need.SECRETS: lambda: any(account.secrets for account in self.accounts),
        }[need]()
        return "" if there else f"needs {need.value}{self._advice(need)}"

    def _advice(self, need: Need) -> str:
        if need in {Need.STREAM, Need.HISTORY, Need.DISTRIBUTION, Need.SECRETS}:
            return ""
        if need is Need.SYMBOLS:
            return "; name one with --symbol"
        if need is Need.REPLIES and self.fetched:
            return "; its history comes over a stream"
        if self.adapter.simulate is not None:
            return self._advice_on_simulated()
        return "; give --samples DIR, or implement simulate()" if need in SAMPLED else ""

    def _advice_on_simulated(self) -> str:
        """Return why nothing came of the simulated venue, as far as that is known."""
        if not any(map(self.playing.known, self.playing.accounts)):
            if not self.given:
                return "; its simulated venue knows no symbol that was tried: name one with --symbol"
            return (
                f"; its simulated venue brings nothing of {', '.join(self.given)}: name another with --symbol"
            )
        if any(_is_unwritten(one.error) for one in self.playing.dialogues):
            return "; its simulated venue is still to be written, see S12"
        return "".join(f"; {trouble}" for trouble in self.playing.troubles[:1])


def _written(dialogues: Sequence[Dialogue]) -> Sequence[Dialogue]:
    """Return those that did not come upon code that is still to be written; S12 tells of the others."""
    return [one for one in dialogues if not _is_unwritten(one.error)]


def _is_unwritten(error: Exception | None) -> bool:
    return isinstance(error, NotImplementedError)


def secrets_of(told: Description) -> Mapping[str, str]:
    """Return an invented secret for every name that *told* lists, each of which can be found again."""
    return {name: CANARY.format(name) for name in (*told.credentials, *told.stream_credentials)}
