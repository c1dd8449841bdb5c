"""The house itself: what is on disk, in the wheel, in the docs and in the commands says the same."""

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

import wickwire
from tests.framework.cli import forked
from wickwire import hookspecs

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("framework", "adapters", "plugins")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def packages(*sources: str) -> list[str]:
    return sorted(
        folder.name
        for source in sources
        for folder in (ROOT / source).iterdir()
        if folder.is_dir() and folder.name != "__pycache__"
    )


def modules() -> list[str]:
    found = []
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            parts = path.relative_to(ROOT / source).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def texts() -> list[Path]:
    """Every file that is committed, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def isort_style(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff keeps in `__all__`."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def plain(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


# ------------------------------------------------------------------------------------------ packages


def test_the_wheel_holds_exactly_the_packages_on_disk(tmp_path):
    """Nobody keeps a list: a new folder ships, and nothing but the packages does."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")

    inside = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    version = PROJECT["project"]["version"]
    files = {path.name for source in SOURCES for path in (ROOT / source).glob("*.py")}
    assert files == {f"{module}.py" for module in PROJECT["project"]["entry-points"]["pytest11"].values()}
    assert {*packages(*SOURCES), *files, f"wickwire-{version}.dist-info"} == inside


def test_every_package_is_typed():
    untyped = [
        folder.name
        for source in SOURCES
        for folder in (ROOT / source).iterdir()
        if folder.name in packages(source) and not (folder / "py.typed").is_file()
    ]

    assert not untyped


SECOND_NAMES = {"postgresql", "rediss"}
"""Schemes that mean the same plugin as another one."""

FACADES = {"wickwire_fullon"}
"""They call the framework, and are called by a host: they have no hooks, and nothing to discover."""


@pytest.mark.parametrize(
    ("source", "group"), [("adapters", "wickwire.adapters"), ("plugins", "wickwire.plugins")]
)
def test_every_package_has_its_entry_point(source, group):
    entry_points = PROJECT["project"]["entry-points"][group]

    assert [name for name in packages(source) if name not in FACADES] == sorted({*entry_points.values()})
    named = {name: package for name, package in entry_points.items() if name not in SECOND_NAMES}
    assert {name: f"wickwire_{name}" for name in named} == named


def test_the_import_contracts_name_every_package():
    rules = PROJECT["tool"]["importlinter"]
    contracts = {contract["name"]: contract for contract in rules["contracts"]}
    guests = packages("adapters", "plugins")

    assert sorted(rules["root_packages"]) == packages(*SOURCES)
    for name, key, expected in [
        ("Only the transport knows httpx and websockets", "source_modules", ["wickwire.*", *guests]),
        (
            "Only the loopback shell of simulated venues knows aiohttp",
            "source_modules",
            ["wickwire.*", *guests],
        ),
        ("Adapters and plugins import the face, and nothing below it", "source_modules", guests),
        ("Adapters and plugins do not know each other", "modules", guests),
        ("The framework names no venue and no plugin", "forbidden_modules", guests),
        ("Adapters do no I/O and read no clock", "source_modules", packages("adapters")),
    ]:
        assert sorted(expected) == sorted(contracts[name][key]), name


# ---------------------------------------------------------------------------------------------- faces


def test_the_face_is_sorted_and_whole():
    assert sorted(set(wickwire.__all__), key=isort_style) == wickwire.__all__
    for name in wickwire.__all__:
        assert getattr(wickwire, name) is not None, name


@pytest.mark.parametrize("name", modules())
def test_what_a_module_names_as_public_is_there(name):
    module = importlib.import_module(name)

    missing = [public for public in getattr(module, "__all__", ()) if not hasattr(module, public)]

    assert not missing


@pytest.mark.parametrize("name", modules())
def test_a_module_opens_with_what_lives_in_it(name):
    assert (importlib.import_module(name).__doc__ or "").strip()


@pytest.fixture(scope="module")
def imported():
    """What `import wickwire` loads, and by how many MiB the process grows."""
    probe = """
import json, resource, sys
def grown():  # not ru_maxrss: that of a parent survives exec
    try:
        with open("/proc/self/statm") as sizes:
            return int(sizes.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return None
known, before = set(sys.modules), grown()
import wickwire
after, loaded = grown(), set(sys.modules) - known
print(json.dumps([sorted(loaded), None if before is None else (after - before) / 2**20]))
"""
    return json.loads(subprocess.check_output([sys.executable, "-c", probe], cwd="/"))


def test_importing_wickwire_loads_what_adapters_need_and_no_more(imported):
    """How long that takes depends on the machine; how much it is does not."""
    loaded, _ = imported
    packages = {name.partition(".")[0] for name in loaded if not name.startswith("_sysconfigdata")}
    strangers = packages - sys.stdlib_module_names - {"wickwire"}
    ours = {name for name in loaded if name.startswith("wickwire.")}
    heavy = {"asyncio", "http", "importlib.metadata", "json", "logging", "sqlite3", "ssl", "subprocess"}

    assert strangers == {"attr", "attrs", "pluggy"}
    assert ours == {
        f"wickwire.{name}"
        for name in (
            *("conversation", "description", "endpoint", "errors", "events", "forgetting"),
            *("hookspecs", "instants", "laws"),
            *("model", "series", "shapes", "sink", "store", "store_keys", "timeframe", "trade_store"),
        )
    }
    assert set() == heavy & {*loaded}
    assert len(loaded) < 200


def test_importing_wickwire_takes_little_memory(imported):
    _, mebibytes = imported
    if mebibytes is None:
        pytest.skip("memory is read from /proc")

    assert mebibytes < 25


# ----------------------------------------------------------------------------------------------- docs


def test_every_hook_is_listed():
    """A hookspec that stands in neither tuple would be checked by nobody."""
    marked = {name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")}

    assert marked == {*hookspecs.ADAPTER_HOOKS, *hookspecs.PLUGIN_HOOKS}


def test_every_dependency_is_explained():
    """And nothing is explained that is not one."""
    project = PROJECT["project"]
    wanted = {
        plain(name) for name in chain(project["dependencies"], *project["optional-dependencies"].values())
    }
    lines = (ROOT / "requirements" / "dev.in").read_text().splitlines()
    wanted |= {plain(line) for line in lines if line and not line.startswith("#")}
    rows = re.findall(r"^\| (.*?) \|(.*)", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    extras = set(project["optional-dependencies"])

    explained: set[str] = set()
    for first, rest in rows:
        names = re.findall(r"`([\w-]+)`", first)
        explained |= set(re.findall(r"^ `([\w-]+)`", rest)) if set(names) <= extras and names else set(names)

    assert wanted - {"wickwire"} == explained


def typed_commands(program: str) -> list[str]:
    """What the docs tell people to type after *program*, in console blocks and in backticks."""
    found = []
    for page in PROSE:
        text = page.read_text()
        blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for block in blocks:
            found += re.findall(rf"^(?:\$ )?{program} ([^#\n]*)", block, re.MULTILINE)
        found += re.findall(rf"`{program} ([^`]*)`", text)
    return found


def test_the_documented_make_targets_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word for line in typed_commands("make") for word in re.findall(r"^(?:[a-z-]+ ?)*", line)[0].split()
    }

    assert {"demo", "test"} <= named
    assert not named - targets


def test_the_documented_commands_exist(tmp_path):
    """Every `wickwire X` that the docs tell people to type answers --help."""
    named = {line.split()[0] for line in typed_commands("wickwire")}

    for command in sorted(name for name in named if re.fullmatch(r"[a-z][a-z-]*", name)):
        scratch = tmp_path / command
        scratch.mkdir()
        helped = forked.run([command, "--help"], folder=tmp_path, environment=os.environ, scratch=scratch)
        assert helped.returncode == 0, f"wickwire {command}: {helped.stderr}"


# --------------------------------------------------------------------------------------------- habits


def test_every_rule_that_is_off_says_why():
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(
        r"^(?:ignore|\".*\") = \[\n(.*?)^\]", text[text.index("[tool.ruff.lint]") :], re.MULTILINE | re.DOTALL
    )
    rows = "".join(lists).splitlines()

    assert len(rows) > 10
    assert not [row for row in rows if not re.fullmatch(r'\s+"[A-Z]+\d*", +# \w.*', row)]


def test_tasks_are_owned_by_groups_that_leave_nobody_cancelled():
    """A plain group may, before Python 3.13: see `children` in `scope.py`."""
    plain = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "framework").rglob("*.py"))
        if "asyncio.TaskGroup()" in path.read_text(encoding="utf-8") and path.name != "scope.py"
    ]
    assert not plain


def test_every_exception_in_the_code_says_why():
    """`# noqa: RULE - reason` and `# type: ignore[code]  # reason`."""
    bare = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in texts()
        if path.suffix == ".py" and path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"# noqa(?!: [A-Z0-9, ]+ - \w)", line)
        or re.search(r"# type: ignore(?!\[[\w, -]+\]  # \w)", line)
    ]

    assert not bare


def test_no_file_names_an_index_or_a_machine():
    """What works only here would not work for the next person."""
    forbidden = re.compile(
        r"(py)(pi)[.](org)|(python)(hosted)|(npm)(js)[.]|(deb)[.](debian)|/(work|opt|root|home)/\w"
    )
    found = []
    for path in texts():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n} {line[:80]}"
            for n, line in enumerate(lines, 1)
            if forbidden.search(line)
        ]

    assert not found


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_pins_are_hashed_and_name_no_address(path):
    text = path.read_text()
    pins = re.findall(r"^[\w.\[\]-]+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)

    assert "://" not in text
    assert pins
    assert not [pin for pin in pins if "--hash=sha256:" not in pin]
    assert not re.findall(r"^-.*", text, re.MULTILINE)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.in")), ids=lambda path: path.name)
def test_what_is_asked_for_is_pinned(path):
    asked = [plain(line) for line in path.read_text().splitlines() if line and not line.startswith("#")]
    if path.stem == "dev":
        project = PROJECT["project"]
        asked += [
            plain(name) for name in chain(project["dependencies"], *project["optional-dependencies"].values())
        ]
    pinned = set(re.findall(r"^([\w.-]+)(?:\[.*?\])?==", path.with_suffix(".txt").read_text(), re.MULTILINE))

    assert not set(asked) - pinned - {"wickwire"}
