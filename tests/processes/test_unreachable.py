"""Venues that cannot be reached, or are somebody else: said in words, never accepted, never a traceback."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import trustme

from tests.processes.programs import Collector, said
from tests.processes.scene import BITCOIN, SHARE, at_once, scene

STREAM, REST = "wss://ws.kraken.com", "https://api.kraken.com"
PAGE = b"<html><head><title>Welcome</title></head><body>Have you paid?</body></html>"
ONE_DAY = dt.timedelta(days=1)
THEN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
"""Long ago, for a certificate that has expired since."""


class Page(BaseHTTPRequestHandler):
    """Answers everything with a page for people, as a hotel's network does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)
        self.server.answered += 1  # type: ignore[attr-defined]  # ours

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name for it
        pass


class Pages(ThreadingHTTPServer):
    """Counts what it answered."""

    answered = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what is tested here."""


@contextmanager
def pages(certificate: trustme.LeafCert | None = None) -> Iterator[Pages]:
    """Serve them, with TLS where there is a certificate."""
    with Pages(("127.0.0.1", 0), Page) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def collected(folder: Path, stream: str, rest: str, trusted: Path | None = None) -> CompletedProcess[str]:
    """Collect for two seconds with these two origins instead of Kraken's."""
    redirects = ("--redirect", f"{STREAM}={stream}", "--redirect", f"{REST}={rest}")
    trust = () if trusted is None else ("env", f"SSL_CERT_FILE={trusted}")
    return said(
        "collect", BITCOIN, *redirects, "--since", "1h", "--for", "2s", "--json", cwd=folder, prefix=trust
    )


def complains(run: CompletedProcess[str], *words: str) -> None:
    """Check that *run* brought nothing, and that its last line says why in *words*."""
    assert (run.returncode, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith("error: nothing was collected: ")
    assert [word for word in words if word not in last] == []


@pytest.mark.slow
def test_a_host_without_an_address_is_named(tmp_path):
    """No resolver knows names in .invalid."""
    run = collected(tmp_path, "wss://nowhere.invalid", "https://nowhere.invalid")
    complains(run, "nowhere.invalid")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "days", "words"),
    [
        pytest.param("127.0.0.1", 36_500, ("certificate", "does not trust"), id="unknown-authority"),
        pytest.param(
            "venue.example",
            36_500,
            ("certificate", "127.0.0.1"),
            id="another-host",
            marks=pytest.mark.nightly,
        ),
        pytest.param("127.0.0.1", 1, ("certificate", "expired"), id="expired", marks=pytest.mark.nightly),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(tmp_path, request, name, days, words):
    """Nothing is said to whoever shows it. The last two come from an authority that is trusted here."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    trusted = None if "unknown" in request.node.callspec.id else tmp_path / "authority.pem"
    certificate = authority.issue_cert(name, not_before=THEN, not_after=THEN + days * ONE_DAY)
    with pages(certificate) as server:
        origin = f"127.0.0.1:{server.server_port}"
        run = collected(tmp_path, f"wss://{origin}", f"https://{origin}", trusted)
        complains(run, *words)
        assert server.answered == 0


@pytest.mark.slow
def test_a_certificate_that_proves_what_it_should_is_accepted(tmp_path):
    """Which shows that the refused ones were refused for what is wrong with them."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with pages(authority.issue_cert("127.0.0.1")) as server:
        origin = f"127.0.0.1:{server.server_port}"
        redirects = {STREAM: f"wss://{origin}", REST: f"https://{origin}"}
        trust = ("env", f"SSL_CERT_FILE={tmp_path / 'authority.pem'}")
        with Collector(BITCOIN, cwd=tmp_path, redirects=redirects, prefix=trust) as collector:
            collector.wait_for_error("kraken")
        assert server.answered > 0
    assert [] == [line for line in collector.errors if "certificate" in line]


@pytest.mark.slow
def test_a_page_for_people_is_neither_data_nor_shown_whole(tmp_path):
    """The venue is out of reach; what the page says is nobody's business."""
    with pages() as server:
        origin = f"127.0.0.1:{server.server_port}"
        run = collected(tmp_path, f"ws://{origin}", f"http://{origin}")
    complains(run, "kraken")
    assert "<body>" not in run.stderr


@pytest.mark.parametrize(
    "stream",
    [
        "ws://192.0.2.1:9000",
        "ws://localhost:9000",
        "ws://127.0.0.1.example:9000",
        "ftp://127.0.0.1",
        "nonsense",
    ],
)
def test_a_redirect_to_anything_but_this_machine_needs_tls(tmp_path, stream):
    """And the name localhost is only a name."""
    run = collected(tmp_path, stream, "http://127.0.0.1:1")
    assert (run.returncode, run.stdout) == (2, "")
    [line] = run.stderr.splitlines()
    assert stream in line
    assert list(tmp_path.iterdir()) == []


def wrong(folder: Path, at: str) -> None:
    with scene(folder, 71) as there, there.collector(BITCOIN, SHARE, options=("--at", at)) as collector:
        collector.wait_for_error("clock")


@pytest.mark.slow
def test_a_clock_that_is_wrong_by_hours_is_said(tmp_path):
    """Behind and ahead."""
    at_once(
        tmp_path,
        *(partial(wrong, at=at) for at in ("2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z")),
    )
