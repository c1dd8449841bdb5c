"""The pytest plugin: `pytest --wickwire-adapter NAME` runs the checks beside whatever tests there are.

It is loaded by every run of pytest where wickwire is installed. So it is no part of the package `wickwire`,
which would be imported with it, and imports nothing of that unless it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wickwire.testing.checks import Check

__all__ = ["pytest_addoption", "pytest_collection_modifyitems"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("wickwire", "conformance of an adapter of wickwire")
    group.addoption("--wickwire-adapter", metavar="NAME", help="run the conformance checks of this adapter")
    group.addoption("--wickwire-samples", metavar="DIR", help="frames, replies and recordings of its venue")
    group.addoption("--wickwire-symbol", metavar="S", action="append", default=[], help="what to ask for")
    group.addoption("--wickwire-seed", metavar="N", type=int, default=1, help="draws other inputs")
    group.addoption("--wickwire-effort", metavar="N", type=int, help="how many inputs a check draws")
    group.addoption("--wickwire-level", metavar="N", type=int, help="checks up to this level")
    group.addoption("--wickwire-config", metavar="FILE", help="settings, which may name adapters in files")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add one test for each check, where an adapter is named."""
    name = config.getoption("--wickwire-adapter")
    if name:
        items.extend(_items(session, config, name))


def _items(session: pytest.Session, config: pytest.Config, name: str) -> Iterator[pytest.Item]:
    from wickwire.config import Config, read_config  # noqa: PLC0415 - only where an adapter is named
    from wickwire.registry import Registry  # noqa: PLC0415 - as above
    from wickwire.testing.deviations import FILE, read_deviations  # noqa: PLC0415 - as above
    from wickwire.testing.running import CHECKS, DEFAULT_EFFORT, chosen, material_of  # noqa: PLC0415 - as above

    samples, settings = config.getoption("--wickwire-samples"), config.getoption("--wickwire-config")
    plugins = (Config() if settings is None else read_config(Path(settings))).plugins
    material = material_of(
        name,
        Registry(allow=plugins.allow, deny=plugins.deny, local=plugins.local),
        samples=None if samples is None else Path(samples),
        symbols=config.getoption("--wickwire-symbol"),
        seed=config.getoption("--wickwire-seed"),
        effort=config.getoption("--wickwire-effort") or DEFAULT_EFFORT,
    )
    deviations = read_deviations(config.rootpath / FILE, [one.id for one in CHECKS])
    for check in chosen(level=config.getoption("--wickwire-level")):
        item = CheckItem.from_parent(session, name=f"{name}[{check.id}]")
        item.about = (material, check, deviations)
        yield item


class CheckItem(pytest.Item):
    """One check of one adapter as a test.

    Attributes:
        about: The material, the check and the deviations.
    """

    about: tuple[Any, Check, Any]

    def runtest(self) -> None:
        """Run it, and end as it ends."""
        from wickwire.testing.suite import judge, today  # noqa: PLC0415 - only where an adapter is named

        material, check, deviations = self.about
        judge(material, check, deviations, today())

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say which adapter and which promise."""
        return self.path, None, f"{self.name}: {self.about[1].promise}"
