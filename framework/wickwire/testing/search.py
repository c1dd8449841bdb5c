"""Looks for the smallest input that breaks a promise: the one place where Hypothesis is driven."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from types import CodeType
from typing import TYPE_CHECKING, TypeVar

from wickwire.foreign import described
from wickwire.testing.checks import Broken, Skipped

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.stateful import RuleBasedStateMachine
    from hypothesis.strategies import SearchStrategy

    from wickwire.testing.material import Material

__all__ = ["blamed", "play", "presented", "search", "sweep"]

T = TypeVar("T")

_LONGEST_SHOWN = 4_000


def search(
    material: Material,
    strategy: SearchStrategy[T],
    look: Callable[[T], None],
    *,
    share: float = 1.0,
    forgiving: bool = False,
    show: Callable[[T], str] = repr,
) -> None:
    """Try *look* on values of *strategy*, as many as the run's effort says, repeatably by its seed.

    Args:
        material: Whose seed and effort count.
        strategy: What to draw from.
        look: Raises where a value breaks the promise.
        share: How much of the effort.
        forgiving: What else the adapter raises is for another check to say.
        show: How a value is shown to people.

    Raises:
        Broken: With the smallest value that was found, and why.
        Skipped: What *look* raised so.
    """
    from hypothesis import given, seed  # noqa: PLC0415 - an extra

    last: list[T] = []

    def tried(value: T) -> None:
        last[:] = [value]
        material.count()
        try:
            look(value)
        except (Broken, Skipped):
            raise
        except Exception:
            if not forgiving:
                raise

    trial = seed(material.seed)(_settings(material, share)(given(strategy)(tried)))
    _run(material, trial, lambda: show(last[0]) if last else None)


def sweep(
    material: Material, values: Iterable[T], look: Callable[[T], None], *, show: Callable[[T], str] = repr
) -> None:
    """Try *look* on each of *values*.

    Args:
        material: Whose tries are counted.
        values: What to try.
        look: Raises where a value breaks the promise.
        show: How a value is shown to people.

    Raises:
        Broken: With the first value that breaks it, and why.
    """
    last: list[T] = []

    def trial() -> None:
        for value in values:
            last[:] = [value]
            material.count()
            look(value)

    _run(material, trial, lambda: show(last[0]) if last else None)


def play(
    material: Material,
    machine: type[RuleBasedStateMachine],
    shown: Callable[[], str | None],
    *,
    share: float,
    steps: int,
) -> None:
    """Let *machine* play as often as *share* of the run's effort says, repeatably by its seed.

    Args:
        material: Whose seed and effort count.
        machine: Its rules play, and raise where they find that a promise is broken.
        shown: How the last game is shown to people; None before the first.
        share: How much of the effort.
        steps: How many moves a game has at most.

    Raises:
        Broken: With the shortest game that was found, and why.
        Skipped: What *machine* raised so.
    """
    from hypothesis import seed, settings  # noqa: PLC0415 - an extra
    from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415 - as above

    seeded = seed(material.seed)(machine)
    rules = settings(_settings(material, share), stateful_step_count=steps)
    _run(material, lambda: run_state_machine_as_test(seeded, settings=rules), shown)


def _settings(material: Material, share: float) -> settings:
    from hypothesis import HealthCheck, Phase, Verbosity, settings  # noqa: PLC0415 - an extra

    return settings(
        database=None,
        deadline=None,
        max_examples=max(1, round(material.effort * share)),
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        derandomize=False,
    )


def _run(material: Material, trial: Callable[[], None], shown: Callable[[], str | None]) -> None:
    """Run *trial*, and tell what it finds with the smallest input that was found last."""
    from hypothesis import errors  # noqa: PLC0415 - an extra

    try:
        trial()
    except Broken as exc:
        raise Broken(exc.why, shown=exc.shown or presented(shown() or "")) from exc
    except errors.Flaky as exc:
        raise Broken("the same input does not do the same twice", shown=presented(shown() or "")) from exc
    except (errors.HypothesisException, AssertionError, Skipped):
        raise
    except Exception as exc:
        last = shown()
        if last is None:
            raise
        raise Broken(blamed(exc, material.code), shown=presented(last)) from exc


def presented(text: str) -> str:
    """Return *text*, cut where nobody would read on."""
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}... ({len(text)} characters)"


def blamed(exc: BaseException, code: Mapping[CodeType, str]) -> str:
    """Return what was raised, and the last line of the adapter's own that it went through."""
    files = {one.co_filename for one in code}
    folders = {name.rpartition("/")[0] for name in files if name.endswith("__init__.py")}
    own = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if frame.filename in files or any(frame.filename.startswith(f"{folder}/") for folder in folders)
    ]
    where = ""
    if own:
        name = own[-1].filename.rpartition("/")[2]
        where = f" at {name}, line {own[-1].lineno}, in {own[-1].name}()"
    return f"raised {described(exc)}{where}"
