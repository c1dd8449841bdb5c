"""What a config says, as the commands use it."""

from collections.abc import Callable
from types import ModuleType

import attrs
import pytest

from wickwire import Account, Description, FaultKind, OhlcvSupport, Series, VenueError, hookimpl
from wickwire.adapter import Adapter, bind
from wickwire.cli.job import Job
from wickwire.cli.settings import Settings
from wickwire.config import parse_config


def keyed(account: Account) -> Description:
    if account.environment == "closed":
        raise VenueError(FaultKind.CREDENTIALS, "it tells nobody")
    names = ("token",) if account.feed else ()
    return Description(
        title="Keyed",
        credentials=names,
        stream_credentials=("key",),
        variants=("open",),
        environments=("production", "closed"),
    )


@pytest.fixture
def settings(monkeypatch):
    plugin = ModuleType("keyed")
    hooks: dict[str, Callable[..., object]] = {
        "describe": keyed,
        "supports_ohlcv": lambda: OhlcvSupport(why_not="nothing"),
        "connect": lambda: None,
        "subscribe": lambda: (),
        "parse": lambda: (),
    }
    for name, function in hooks.items():
        setattr(plugin, name, hookimpl(function))
    adapter = bind("keyed", plugin)

    class Installed:
        def load(self, name: str) -> Adapter:
            assert name == "keyed"
            return adapter

    def made(text: str = "") -> Settings:
        settings = Settings(parse_config(text))
        settings.__dict__["registry"] = Installed()
        return settings

    return made


SERIES = (Series.parse("keyed:A@1m"), Series.parse("keyed.open:A@1m"))


def test_secrets_are_never_invented_for_real_venues(settings):
    assert settings().accounts(SERIES)["keyed"].secrets == {}


@pytest.mark.parametrize("world", [{"simulate": True}, {"replay": ("a file",)}])
def test_simulated_and_recorded_venues_get_secrets_in_place_of_those_that_nobody_named(
    settings, monkeypatch, world
):
    monkeypatch.setenv("MY_KEY", "of mine")
    given = settings('[venues.keyed.secrets]\nkey = "env:MY_KEY"')
    job = Job(settings=given, series=SERIES, store="memory:", **world)
    registry = given.registry
    job.settings.__dict__["registry"] = registry

    assert job.settings.accounts(SERIES)["keyed"].secrets == {"key": "of mine", "token": "invented-token"}


def test_a_venue_that_describes_itself_to_nobody_gets_none(settings):
    given = attrs.evolve(settings('[venues.keyed]\nenvironment = "closed"'), invented=True)
    given.__dict__["registry"] = settings().registry

    assert given.accounts(SERIES)["keyed"].secrets == {}
