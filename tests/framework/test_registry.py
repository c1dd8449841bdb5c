"""Plugins are found by metadata, loaded by name, and a broken one is listed and stops nobody."""

import sys
import textwrap
from pathlib import Path
from types import ModuleType

import click
import pytest

import wickwire
from wickwire import ConfigError, MemoryStore, PluginError, UsageError, hookimpl
from wickwire.registry import Kind, Registry, State, load_adapter

ADAPTER = """
from wickwire import Description, HttpRequest, OhlcvSupport, Page, hookimpl

@hookimpl
def describe():
    return Description(title="Lantern")

@hookimpl
def supports_ohlcv(symbol):
    return OhlcvSupport(rest=True)

@hookimpl
def fetch_ohlcv(query):
    yield HttpRequest(url="https://api.lantern.example/bars")
    return Page(candles=(), covered=(0, 0))
"""


class Installer:
    """Makes distributions as pip leaves them: a module and its metadata on the path."""

    def __init__(self, site: Path) -> None:
        self.site = site

    def __call__(
        self, distribution="wickwire-lantern", version="0.3.1", *, points=None, modules=None, requires=()
    ):
        for name, source in (modules or {}).items():
            (self.site / f"{name}.py").write_text(textwrap.dedent(source))
        info = self.site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [
            f"Name: {distribution}",
            f"Version: {version}",
            *(f"Requires-Dist: {one}" for one in requires),
        ]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        groups: dict[str, list[str]] = {}
        for point, target in (points or {}).items():
            group, _, name = point.rpartition("/")
            groups.setdefault(group or "wickwire.adapters", []).append(f"{name} = {target}")
        text = "\n".join(f"[{group}]\n" + "\n".join(rows) for group, rows in groups.items())
        (info / "entry_points.txt").write_text(text + "\n")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install into a folder that is on the path for one test; what it imported is forgotten afterwards."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    yield Installer(site)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def rows(registry, *names):
    return {row.name: row for row in registry.listing() if row.name in names}


# ---------------------------------------------------------------------------------------------- finding


def test_discovery_imports_nothing(install):
    """Name, distribution and version come from metadata; the module could be anything."""
    install(
        points={"lantern": "lantern_that_explodes"}, modules={"lantern_that_explodes": "raise SystemExit"}
    )

    [found] = [one for one in Registry().discover() if one.name == "lantern"]

    assert ("wickwire-lantern", "0.3.1", Kind.ADAPTER) == (found.distribution, found.version, found.kind)
    assert "lantern_that_explodes" not in sys.modules


def test_loading_one_adapter_imports_that_one(install):
    install(
        points={"lantern": "lantern_one", "beacon": "lantern_two"},
        modules={"lantern_one": ADAPTER, "lantern_two": ADAPTER},
    )

    adapter = Registry().load("lantern")

    assert ("lantern", "wickwire-lantern", "0.3.1") == (adapter.name, adapter.distribution, adapter.version)
    assert "lantern_two" not in sys.modules


def test_an_adapter_is_loaded_once():
    registry = Registry(adapters={"lantern": given()})

    assert registry.load("lantern") is registry.load("lantern")


def given():
    module = ModuleType("given")
    exec(ADAPTER, vars(module))
    return module


def test_the_face_loads_an_installed_adapter(install):
    install(points={"lantern": "lantern_face"}, modules={"lantern_face": ADAPTER})

    assert load_adapter("lantern").description.title == "Lantern"
    assert wickwire.load_adapter is load_adapter


def test_an_unknown_name_says_what_there_is():
    registry = Registry(adapters={"lantern": given()})

    with pytest.raises(
        UsageError, match=r"no adapter 'lantrn' \(did you mean 'lantern'\?\); installed: .*lantern"
    ):
        registry.load("lantrn")


# ----------------------------------------------------------------------------------------------- broken


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import sys\n\nsys.exit('no oil')",
            "importing it raised SystemExit: no oil (lantern_bad.py, line 3)",
        ),
        ("1 / 0", "importing it raised ZeroDivisionError: division by zero (lantern_bad.py, line 1)"),
        ("import no_such_package", "needs the package 'no_such_package', which is not installed"),
        ("x = 1", "nothing in it is marked with @hookimpl"),
        ("def f(:", "importing it raised SyntaxError: invalid syntax (lantern_bad.py, line 1)"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_stops_nobody(install, source, reason):
    install(
        points={"lantern": "lantern_bad", "beacon": "lantern_good"},
        modules={"lantern_bad": source, "lantern_good": ADAPTER},
    )
    registry = Registry()

    listed = rows(registry, "lantern", "beacon")

    assert (State.OK, "") == (listed["beacon"].state, listed["beacon"].reason)
    assert listed["lantern"].state is State.BROKEN
    assert listed["lantern"].reason.startswith(reason)
    with pytest.raises(PluginError, match=r"^adapter 'lantern' \(wickwire-lantern 0\.3\.1\): "):
        registry.load("lantern")


def test_a_failed_import_is_not_tried_again(install):
    """The reason is kept: a second import could half succeed."""
    source = "import sys\nsys.lantern_tries = getattr(sys, 'lantern_tries', 0) + 1\nraise RuntimeError"
    install(points={"lantern": "lantern_twice"}, modules={"lantern_twice": source})
    registry = Registry()

    for _ in range(3):
        with pytest.raises(PluginError, match="RuntimeError"):
            registry.load("lantern")

    assert vars(sys).pop("lantern_tries") == 1


def test_ctrl_c_during_an_import_passes(install):
    install(points={"lantern": "lantern_ctrl"}, modules={"lantern_ctrl": "raise KeyboardInterrupt"})

    with pytest.raises(KeyboardInterrupt):
        Registry().load("lantern")


def test_an_entry_point_to_nowhere(install):
    install(points={"lantern": "lantern_gone.adapter"})

    assert rows(Registry(), "lantern")["lantern"].reason == (
        "its entry point names the module 'lantern_gone.adapter', which is not there"
    )


@pytest.mark.parametrize(
    ("target", "requires", "hint"),
    [
        ("lantern_extra", ['oil-lamp>=2; extra == "lamp"'], "wickwire-lantern[lamp]"),
        (
            "lantern_extra",
            ['oil-lamp; extra == "all"', 'x; extra == "all"', 'oil-lamp; extra == "lamp"'],
            "wickwire-lantern[lamp]",
        ),
        ("lantern_extra [bright]", [], "wickwire-lantern[bright]"),
    ],
)
def test_a_package_that_an_extra_brings_is_missing_not_broken(install, target, requires, hint):
    install(points={"lantern": target}, modules={"lantern_extra": "import oil_lamp.wick"}, requires=requires)

    row = rows(Registry(), "lantern")["lantern"]

    assert (
        State.MISSING_EXTRA,
        f"needs the package 'oil_lamp', which is not installed; pip install '{hint}'",
    ) == (
        row.state,
        row.reason,
    )


def test_two_distributions_that_claim_a_name_are_both_refused(install):
    """Which one came first on the path must not decide whose code sees the secrets."""
    install(points={"lantern": "lantern_a"}, modules={"lantern_a": ADAPTER})
    install("evil-lantern", "9.9", points={"lantern": "lantern_b"}, modules={"lantern_b": ADAPTER})
    registry = Registry()

    found = [row for row in registry.listing() if row.name == "lantern"]

    assert {("evil-lantern", State.BROKEN), ("wickwire-lantern", State.BROKEN)} == {
        (row.distribution, row.state) for row in found
    }
    for part in ("evil-lantern 9.9", "wickwire-lantern 0.3.1", "none of them is used"):
        assert all(part in row.reason for row in found)
    with pytest.raises(PluginError, match="claim this name"):
        registry.load("lantern")
    assert not {"lantern_a", "lantern_b"} & sys.modules.keys()


def test_a_name_may_stand_in_both_groups(install):
    """An adapter and a store of the same name do not fight."""
    install(
        points={"lantern": "lantern_a", "wickwire.plugins/lantern": "lantern_s"},
        modules={"lantern_a": ADAPTER},
    )

    assert Registry().load("lantern").serves_history


def test_an_adapter_that_is_bound_already_is_taken_as_it_is():
    bound = Registry(adapters={"lantern": given()}).load("lantern")

    assert bound is Registry(adapters={"lantern": bound}).load("lantern")


def test_a_bound_adapter_goes_by_its_own_name_only():
    bound = Registry(adapters={"lantern": given()}).load("lantern")

    with pytest.raises(PluginError, match="adapter 'beacon': it is bound as 'lantern' already"):
        Registry(adapters={"beacon": bound}).load("beacon")


def test_a_bound_adapter_is_no_plugin_of_the_other_kind():
    bound = Registry(adapters={"lantern": given()}).load("lantern")

    with pytest.raises(PluginError, match="plugin 'lantern': it has none of the hooks"):
        Registry(plugins={"lantern": bound}).load_plugin("lantern")


def test_what_is_installed_can_be_left_out(install):
    install(points={"beacon": "beacon_left_out"}, modules={"beacon_left_out": ADAPTER})

    registry = Registry(adapters={"lantern": given()}, installed=False)

    assert ["lantern"] == [row.name for row in registry.listing()]
    with pytest.raises(UsageError, match=r"no adapter 'beacon'; installed: lantern"):
        registry.load("beacon")
    assert "beacon_left_out" not in sys.modules


# --------------------------------------------------------------------------------------- allow and deny


def test_the_deny_list_disables():
    registry = Registry(adapters={"lantern": given()}, deny=["lantern"])

    row = rows(registry, "lantern")["lantern"]

    assert (State.DISABLED, "it is on the deny-list") == (row.state, row.reason)
    with pytest.raises(ConfigError, match="adapter 'lantern' is disabled: it is on the deny-list"):
        registry.load("lantern")


def test_an_allow_list_is_exhaustive():
    """What is not on it is disabled, stores too; an empty one disables all."""
    registry = Registry(adapters={"lantern": given(), "beacon": given()}, allow=["beacon"])

    assert {"beacon"} == {row.name for row in registry.listing() if row.state is State.OK}
    with pytest.raises(ConfigError, match=r"plugin 'sqlite' .*not on the allow-list, which names beacon"):
        registry.open_store("sqlite:wickwire.db")
    assert {State.DISABLED} == {row.state for row in Registry(allow=[], adapters={"a": given()}).listing()}


def test_what_is_disabled_is_not_imported(install):
    install(points={"lantern": "lantern_denied"}, modules={"lantern_denied": ADAPTER})

    Registry(deny=["lantern"]).listing()

    assert "lantern_denied" not in sys.modules


# -------------------------------------------------------------------------------------- one-file plugins


def test_a_single_file_is_an_adapter(tmp_path):
    path = tmp_path / "my lantern.py"
    path.write_text(ADAPTER)

    adapter = Registry(local={"lantern": path}).load("lantern")

    assert ("lantern", str(path), "") == (adapter.name, adapter.distribution, adapter.version)
    assert "_wickwire_local_lantern" in sys.modules


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        (
            "lantern.py",
            "1 / 0",
            "importing it raised ZeroDivisionError: division by zero (lantern.py, line 1)",
        ),
        ("lantern.py", None, "there is no such file"),
        ("lantern.txt", "", "is not a Python file; its name has to end in .py"),
        (
            "lantern.py",
            "import no_such_package",
            "needs the package 'no_such_package', which is not installed",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, source, reason):
    path = tmp_path / name
    if source is not None:
        path.write_text(source)

    with pytest.raises(PluginError) as caught:
        Registry(local={"lantern": path}).load("lantern")

    assert str(caught.value).startswith(f"adapter 'lantern' ({path}): {reason}")
    assert "_wickwire_local_lantern" not in sys.modules


def test_a_file_and_a_distribution_of_one_name_are_both_refused(install, tmp_path):
    install(points={"lantern": "lantern_installed"}, modules={"lantern_installed": ADAPTER})
    path = tmp_path / "lantern.py"
    path.write_text(ADAPTER)

    with pytest.raises(PluginError, match=r"wickwire-lantern 0\.3\.1 and .*lantern\.py claim this name"):
        Registry(local={"lantern": path}).load("lantern")


# ----------------------------------------------------------------------------------------------- stores


class Shelf(MemoryStore):
    """A store with a URL of its own."""


def store_plugin(answer):
    module = ModuleType("shelf")

    def open_store(url):
        return answer(url)

    module.open_store = hookimpl(open_store)  # type: ignore[attr-defined]  # a module
    return module


def test_the_memory_store_is_built_in():
    assert isinstance(Registry().open_store("memory:"), MemoryStore)


def test_a_store_is_opened_by_the_plugin_called_like_its_scheme():
    """And no other plugin is imported for it."""
    registry = Registry(
        plugins={"shelf": store_plugin(lambda url: Shelf()), "other": store_plugin(lambda url: MemoryStore())}
    )

    assert isinstance(registry.open_store("shelf:/top"), Shelf)


def test_a_scheme_without_a_plugin_of_its_name_is_offered_to_those_loaded():
    registry = Registry(
        plugins={"shelf": store_plugin(lambda url: Shelf() if url.startswith("rack:") else None)}
    )
    registry.load_plugin("shelf")

    assert isinstance(registry.open_store("rack:/top"), Shelf)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "shelv:/top",
            r"no plugin takes 'shelv' \(did you mean 'shelf'\?\); there are memory, postgres.*, shelf",
        ),
        ("wickwire.db", r"store 'wickwire.db' has no scheme; write memory: or sqlite:wickwire.db"),
        ("", r"store '' has no scheme; write memory: or sqlite:wickwire.db"),
        ("ledger://me:secret@host/db", r"store 'ledger://\.\.\.@host/db': no plugin takes 'ledger'"),
    ],
)
def test_a_store_that_nobody_knows(url, text):
    """The message says what there is, and repeats no password."""
    registry = Registry(plugins={"shelf": store_plugin(lambda url: Shelf())})

    with pytest.raises(ConfigError, match=text) as caught:
        registry.open_store(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        ("sink", "redis://127.0.0.1"),
        ("cache", "redis://127.0.0.1"),
        ("budget", "redis://127.0.0.1"),
        ("store", "memory: or sqlite:wickwire.db"),
    ],
)
def test_a_plugin_that_is_there_for_something_else_is_not_suggested(kind, instead):
    registry = Registry(plugins={"shelf": store_plugin(lambda url: None)})

    with pytest.raises(ConfigError) as caught:
        getattr(registry, f"open_{kind}")("shelf:/top")

    assert str(caught.value) == f"{kind} 'shelf:/top': the plugin 'shelf' opens no {kind}; write {instead}"


def test_one_plugin_may_answer_to_two_schemes():
    plugin = store_plugin(lambda url: Shelf())
    registry = Registry(plugins={"shelf": plugin, "rack": plugin})

    assert [Shelf, Shelf] == [type(registry.open_store(url)) for url in ("shelf:/top", "rack:/top")]


def test_a_store_plugin_that_fails_is_named():
    registry = Registry(plugins={"shelf": store_plugin(lambda url: 1 / 0)})

    with pytest.raises(PluginError, match=r"^plugin 'shelf': open_store\(\) raised ZeroDivisionError"):
        registry.open_store("shelf:/top")


def test_a_store_plugin_may_refuse_an_address():
    def answer(url):
        raise ConfigError("shelf: there is no top")

    with pytest.raises(ConfigError, match="there is no top"):
        Registry(plugins={"shelf": store_plugin(answer)}).open_store("shelf:/top")


def test_what_is_no_store_is_refused():
    registry = Registry(plugins={"shelf": store_plugin(lambda url: object())})

    with pytest.raises(
        PluginError, match=r"open_store\(\) returned an object, which has no open, aclose, world, "
    ):
        registry.open_store("shelf:/top")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1", "it has none of the hooks add_commands, open_budget, open_cache, open_sink and open_store"),
        ("from wickwire import hookimpl\n@hookimpl\nasync def open_store(url): ...", "open_store() is async"),
        (
            "API_LEVEL = 99",
            "it was written for API level 99 and this wickwire has API level 1; upgrade wickwire",
        ),
        ("from wickwire import hookimpl\n@hookimpl\ndef open_stor(url): ...", "unknown hook 'open_stor'"),
        ("from wickwire import hookimpl\n@hookimpl\ndef open_store(uri): ...", "Plugin 'shelf' for hook"),
    ],
)
def test_a_broken_store_plugin_is_listed(install, source, reason):
    install("wickwire-shelf", points={"wickwire.plugins/shelf": "shelf_bad"}, modules={"shelf_bad": source})

    row = rows(Registry(), "shelf")["shelf"]

    assert (Kind.PLUGIN, State.BROKEN) == (row.kind, row.state)
    assert reason in row.reason


def test_commands_come_from_plugins_that_are_loaded():
    module = ModuleType("shelf")

    def add_commands(cli):
        cli.add_command(click.Command("dust"))

    module.add_commands = hookimpl(add_commands)  # type: ignore[attr-defined]  # a module
    registry, cli = Registry(plugins={"shelf": module}), click.Group()
    registry.add_commands(cli)
    before = dict(cli.commands)
    registry.load_plugin("shelf")
    registry.add_commands(cli)

    assert ({}, ["dust"]) == (before, list(cli.commands))
