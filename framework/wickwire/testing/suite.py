"""The checks as pytest tests: all that an adapter's own test file has to write is one line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.registry import Registry
    from wickwire.testing.checks import Check
    from wickwire.testing.deviations import Deviation
    from wickwire.testing.material import Material

__all__ = ["conformance", "judge", "today"]

DEFAULT_SEED: Final = 1


def conformance(
    adapter: str | Adapter,
    *,
    samples: str | Path | None = None,
    symbols: Sequence[str] = (),
    level: int | None = None,
    seed: int = DEFAULT_SEED,
    effort: int | None = None,
    deviations: str | Path = "conformance.toml",
    registry: Registry | None = None,
    on: date | None = None,
) -> Callable[..., None]:
    """Make a test for pytest, with a case for each check.

    `test_conformance = conformance("beacon")` is all that a test file needs.

    A check that lacks something to look at is a skipped test, an excused one an expected failure.

    Args:
        adapter: Name of an installed adapter, or a bound one.
        samples: Folder of samples; where relative, beside the file that calls this.
        symbols: What to ask for; else what samples and the simulated venue name.
        level: The deepest level; all by default.
        seed: What everything that is drawn follows from.
        effort: Examples for each check.
        deviations: File of promises that are not kept yet; where relative, beside the file that calls this.
        registry: Where to load *adapter* from; that of the installed ones by default.
        on: The date by which deviations expire; by default today, in UTC.

    Raises:
        ConfigError: The file of deviations is wrong.
    """
    import pytest  # noqa: PLC0415 - an extra

    from wickwire.testing.deviations import read_deviations  # noqa: PLC0415 - what nobody asks for is not loaded
    from wickwire.testing.running import CHECKS, DEFAULT_EFFORT, chosen  # noqa: PLC0415 - as above

    caller = inspect.stack()[1].filename
    folder = Path(caller).parent
    excuses = read_deviations(folder / deviations, [one.id for one in CHECKS])

    @functools.cache
    def material() -> Material:
        from wickwire.registry import Registry  # noqa: PLC0415 - as above
        from wickwire.testing.material import Material  # noqa: PLC0415 - as above
        from wickwire.testing.running import material_of  # noqa: PLC0415 - as above

        options: dict[str, Any] = {
            "samples": None if samples is None else folder / samples,
            "symbols": symbols,
            "seed": seed,
            "effort": effort or DEFAULT_EFFORT,
        }
        if isinstance(adapter, str):
            return material_of(adapter, registry or Registry(), **options)
        return Material(adapter, **options)

    words = _options(None if samples is None else folder / samples, symbols, effort)
    checks = chosen(level=level)

    @pytest.mark.parametrize("check", checks, ids=[one.id for one in checks])
    def test_conformance(check: Check) -> None:
        judge(material(), check, excuses, on or today(), words)

    return test_conformance


def judge(
    material: Material,
    check: Check,
    deviations: Mapping[str, Deviation],
    on: date,
    options: Sequence[str] = (),
) -> None:
    """Run *check*, and end the running test as it did.

    Raises:
        pytest.fail.Exception: The promise is broken; the text shows the input and how to see it again.
        pytest.skip.Exception: Nothing here can say.
    """
    import pytest  # noqa: PLC0415 - an extra

    from wickwire.testing.report import failure_text  # noqa: PLC0415 - as above
    from wickwire.testing.running import State, run  # noqa: PLC0415 - as above

    [outcome] = run(material, [check], deviations=deviations, today=on, options=options)
    match outcome.state:
        case State.FAILED:
            pytest.fail(failure_text(outcome), pytrace=False)
        case State.SKIPPED:
            pytest.skip(f"{check}: {outcome.why}")
        case State.EXCUSED:
            pytest.xfail(outcome.why)
        case State.PASSED:
            return


def _options(samples: Path | None, symbols: Sequence[str], effort: int | None) -> Sequence[str]:
    """Return what the command that replays a failure needs beside the seed."""
    words = [] if samples is None else ["--samples", str(samples)]
    for symbol in symbols:
        words += ["--symbol", symbol]
    return [*words, "--effort", str(effort)] if effort else words


def today() -> date:
    """Return the date of today, in UTC."""
    from wickwire.clock import SystemClock  # noqa: PLC0415 - as above
    from wickwire.model import when  # noqa: PLC0415 - as above

    return when(SystemClock().now_ns()).date()
