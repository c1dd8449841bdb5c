"""What a test does that lacks its server: it says so, or fails where each has to be there."""

from __future__ import annotations

import pytest

from tests.plugins.processes import lacking


def test_a_test_without_its_server_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WICKWIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no redis-server"):
        lacking("no redis-server")


def test_where_servers_are_required_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WICKWIRE_SERVERS", "required")
    with pytest.raises(pytest.fail.Exception, match="no redis-server"):
        lacking("no redis-server")
