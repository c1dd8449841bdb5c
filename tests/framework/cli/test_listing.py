"""`adapters`, `plan` and `doctor`: nothing connects, nothing is written."""

import pytest

BROKEN = "import nowhere_to_be_found\n"


def test_adapters_are_listed_for_programs(shell):
    rows = shell.json("adapters")

    names = [row["name"] for row in rows]
    assert ({"kraken", "yahoo"} <= {*names}, sorted(names)) == (True, names)
    assert {"ok"} == {row["state"] for row in rows}
    assert all(set(row) == {"name", "distribution", "version", "state", "reason"} for row in rows)
    assert shell.files() == []


def test_a_broken_adapter_is_listed_with_its_reason_and_stops_no_other(shell):
    (shell.folder / "lamp.py").write_text(BROKEN)
    (shell.folder / "c.toml").write_text('[plugins.local]\nlamp = "lamp.py"\n')

    rows = {row["name"]: row for row in shell.json("adapters", "--config", "c.toml")}

    assert rows["lamp"]["state"] == "broken"
    assert "nowhere_to_be_found" in rows["lamp"]["reason"]
    assert rows["kraken"]["state"] == "ok"
    assert "lamp" in shell.run("adapters", "--config", "c.toml").stdout


def test_a_denied_adapter_is_listed_as_disabled(shell):
    (shell.folder / "c.toml").write_text('[plugins]\ndeny = ["yahoo"]\n')

    states = {row["name"]: row["state"] for row in shell.json("adapters", "--config", "c.toml")}

    assert states["yahoo"] == "disabled"
    shell.run("plan", "yahoo:AAPL@1d", "--config", "c.toml", status=2)


def test_plans_say_which_rung_and_why(shell):
    stream, poll = shell.json("plan", "kraken:XBT/USD@1m", "yahoo:AAPL@1m")

    assert {"series", "rung", "why", "falls_to", "takes", "notes"} == set(stream)
    assert ("kraken:BTC/USD@1m", "stream", "poll") == (stream["series"], stream["rung"], stream["falls_to"])
    assert ("yahoo:AAPL@1m", "poll", None) == (poll["series"], poll["rung"], poll["falls_to"])
    assert "no stream" in poll["why"]
    assert ("1 connection", "60 REST calls an hour") == (stream["takes"], poll["takes"])


def test_a_plan_for_simulated_venues_needs_no_keys(shell):
    series = ("alpaca.iex:AAPL@1m", "dxlink:AAPL@1m")

    assert ["refuse", "refuse"] == [one["rung"] for one in shell.json("plan", *series, status=3)]
    assert ["stream", "stream"] == [one["rung"] for one in shell.json("plan", *series, "--simulate")]


def test_a_refused_series_is_status_3(shell):
    [plan] = shell.json("plan", "kraken:BTC/USD@7m", status=3)

    assert plan["rung"] == "refuse"
    assert "1m" in plan["why"]


def test_a_route_can_be_asked_for_and_refused(shell):
    assert shell.json("plan", "kraken:BTC/USD@1m", "--route", "poll")[0]["rung"] == "poll"
    assert shell.json("plan", "yahoo:AAPL@1m", "--route", "stream", status=3)[0]["rung"] == "refuse"


def test_a_config_names_series_and_pins(shell):
    (shell.folder / "c.toml").write_text(
        'series = ["kraken:BTC/USD@1m", "kraken:ETH/USD@1m"]\n'
        '[venues.kraken.pins]\n"kraken:ETH/USD@1m" = "poll"\n'
    )
    shell.environment["WICKWIRE_CONFIG"] = "c.toml"

    rungs = {row["series"]: row["rung"] for row in shell.json("plan")}

    assert rungs == {"kraken:BTC/USD@1m": "stream", "kraken:ETH/USD@1m": "poll"}


def test_the_doctor_finds_nothing_wrong_here_and_leaves_nothing_behind(shell):
    findings = {row["what"]: row for row in shell.json("doctor")}

    assert {"python", "click", "adapter kraken", "plugin sqlite", "store", "clock"} <= set(findings)
    assert not [row for row in findings.values() if row["state"] == "bad"]
    assert shell.files() == []
    assert "adapter kraken" in shell.run("doctor").stdout


@pytest.mark.parametrize("store", ["sqlite:nowhere/x.db", "nonsense", "sqlite:."])
def test_the_doctor_says_when_the_store_cannot_be_written(shell, store):
    findings = {row["what"]: row for row in shell.json("doctor", "--store", store, status=1)}

    assert findings["store"]["state"] == "bad"


def test_the_doctor_tells_a_venue_that_cannot_be_reached(shell):
    (shell.folder / "c.toml").write_text(
        '[venues.kraken.redirects]\n"https://api.kraken.com" = "http://127.0.0.1:1"\n'
        '[plugins]\ndeny = ["yahoo"]\n'
    )

    findings = {row["what"]: row for row in shell.json("doctor", "--online", "--config", "c.toml", status=1)}

    assert findings["clock of kraken"]["state"] == "bad"
    assert "127.0.0.1:1" in findings["clock of kraken"]["text"]
