"""`simulate`: venues on loopback for whoever comes."""

import json
import socket

from tests.framework.cli.conftest import interrupt


def test_another_process_collects_from_it(shell):
    process = shell.start("simulate", "--at", "2026-11-20T15:00:00Z", "--speed", 50, "--json")
    try:
        served = json.loads(process.stdout.readline())
        assert {"kraken", "yahoo"} <= {*served["venues"]}
        redirects = [word for pair in served["redirects"].items() for word in ("--redirect", "=".join(pair))]
        told = ("--since", "2026-11-20T14:00:00Z", "--at", "2026-11-20T15:00:00Z")
        lines = shell.lines("collect", "kraken:BTC/USD@1m", *told, *redirects, "--for", "2s")
    finally:
        status, _, _ = interrupt(process)

    assert status == 130
    assert len(lines) > 40


def test_it_shows_the_command_for_a_person(shell):
    told = shell.run("simulate", "kraken", "--for", "1s").stdout

    assert "wss://ws.kraken.com is at ws://127.0.0.1:" in told
    assert "wickwire collect kraken:BTC/USD@1m --seed 1 --redirect " in told


def test_a_taken_port_is_named(shell):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = shell.run("simulate", "kraken", "--port", port, status=2)

    assert str(port) in done.stderr


def test_every_loopback_address_is_this_machines_own(shell):
    process = shell.start("simulate", "yahoo", "--json")
    try:
        served = json.loads(process.stdout.readline())
    finally:
        interrupt(process)

    assert all(target.startswith("http://127.0.0.1:") for target in served["redirects"].values())
