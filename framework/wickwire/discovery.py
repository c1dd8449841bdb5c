"""What is installed, known from metadata alone, and importing one of it, whatever that may bring about."""

from __future__ import annotations

import enum
import functools
import importlib.util
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Final, final

import attrs

from wickwire.binding import identify
from wickwire.errors import PluginError
from wickwire.foreign import described

__all__ = ["Found", "Kind", "MissingExtraError", "files", "imported", "installed"]

# PEP 508: the name comes first, and what an extra brings says `extra == "redis"` in its marker
_EXTRA: Final = re.compile(r"^([A-Za-z0-9._-]+).*\bextra\s*==\s*['\"]([^'\"]+)['\"]")
_LOCAL: Final = "_wickwire_local_"
"""What the modules of adapters in single files are called, before the name of the venue."""


@final
class Kind(enum.Enum):
    """What a plugin is, by the group of entry points that names it."""

    ADAPTER = "adapter"
    PLUGIN = "plugin"

    @property
    def group(self) -> str:
        """The group of entry points."""
        return f"wickwire.{self.value}s"


@attrs.frozen(kw_only=True)
class Found:
    """One plugin as its metadata tells of it; nothing has been imported.

    Attributes:
        name: Of the venue; of a store: the scheme of its URLs.
        kind: Adapter or another plugin.
        distribution: What was installed to bring it, or the path of a local file; may be empty.
        version: The distribution's version; may be empty.
        disabled: Why it is not to be loaded; empty when it may be.
        package: Top package of its modules; empty where that is not known.
    """

    name: str
    kind: Kind
    distribution: str = ""
    version: str = ""
    disabled: str = ""
    package: str = ""
    load: Callable[[], object] = attrs.field(repr=False, eq=False)
    entry_point: EntryPoint | None = attrs.field(default=None, repr=False, eq=False)

    def __str__(self) -> str:
        return identify(self.kind.value, self.name, self.distribution, self.version)


class MissingExtraError(PluginError):
    """A plugin needs a package that an extra brings."""


def installed() -> Iterator[Found]:
    """Yield every entry point of both groups, without importing any."""
    points = entry_points()  # once for both groups: it reads a file of every distribution
    origins: dict[Distribution | None, tuple[str, str]] = {}
    for kind in Kind:
        for point in points.select(group=kind.group):
            if point.dist not in origins:
                origins[point.dist] = _origin(point.dist)
            distribution, version = origins[point.dist]
            yield Found(
                name=point.name,
                kind=kind,
                distribution=distribution,
                version=version,
                package=point.module.partition(".")[0],
                load=point.load,
                entry_point=point,
            )


def files(local: Mapping[str, Path]) -> Iterator[Found]:
    """Yield the adapters that are single files, without importing any."""
    for name, path in local.items():
        load = functools.partial(_imported_file, name, path)
        yield Found(
            name=name, kind=Kind.ADAPTER, distribution=str(path), package=f"{_LOCAL}{name}", load=load
        )


def _origin(distribution: Distribution | None) -> tuple[str, str]:
    """Return name and version; one that was half removed may have lost them."""
    if distribution is None:
        return "", ""
    told = distribution.metadata
    name, version = (told[key] if key in told else "" for key in ("Name", "Version"))  # noqa: SIM401 - get() came with 3.12
    return name, version


def imported(one: Found) -> object:
    """Import a plugin.

    Raises:
        PluginError: It cannot be imported; MissingExtraError where an extra would help.
    """
    try:
        return one.load()
    except PluginError:
        raise
    except ModuleNotFoundError as exc:
        raise _not_installed(one, exc.name or "") from exc
    except (Exception, SystemExit) as exc:
        raise PluginError(f"{one}: importing it raised {_told(exc)}", plugin=one.name) from exc


def _told(exc: BaseException) -> str:
    """Return what was raised and where in the plugin's own code: `ValueError: no (lantern.py, line 3)`."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{type(exc).__name__}: {exc.msg} ({Path(exc.filename).name}, line {exc.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{described(exc)}{where}"


def _not_installed(one: Found, module: str) -> PluginError:
    """Return why *module* is not there: not part of the plugin, not chosen, or not installed."""
    point = one.entry_point
    if point and f"{point.module}.".startswith(f"{module}."):
        return PluginError(
            f"{one}: its entry point names the module {point.module!r}, which is not there", plugin=one.name
        )
    package = module.partition(".")[0]
    needs = f"{one}: needs the package {package!r}, which is not installed"
    for extra in _extras(point, package):
        return MissingExtraError(f"{needs}; pip install '{one.distribution}[{extra}]'", plugin=one.name)
    return PluginError(f"{needs}; install what brings it", plugin=one.name)


def _extras(point: EntryPoint | None, package: str) -> Iterator[str]:
    """Yield the extras that bring *package*: what the entry point names, then what brings least else."""
    if point is None or point.dist is None:
        return
    yield from point.extras
    matches = [match for text in point.dist.requires or () if (match := _EXTRA.match(text))]
    size = Counter(match[2] for match in matches)
    bringing = [match[2] for match in matches if re.sub(r"[-_.]+", "_", match[1]).lower() == package.lower()]
    yield from sorted(bringing, key=lambda extra: size[extra])


def _imported_file(name: str, path: Path) -> object:
    """Import one file under a module name of its own."""
    who = identify(Kind.ADAPTER.value, name, str(path), "")
    if not path.is_file():
        raise PluginError(f"{who}: there is no such file", plugin=name)
    module_name = f"{_LOCAL}{name}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{who}: is not a Python file; its name has to end in .py", plugin=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # classes look up their own module while they are made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
