"""What tests of strangers' distributions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.third_party.environment import built

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wickwire_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own wheel, built once."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the checkout is not here, so there is nothing to build wickwire's wheel from")
    pytest.importorskip("hatchling", reason="hatchling is not here, which builds wickwire's wheel")
    return built(ROOT, tmp_path_factory.mktemp("wickwire"))
