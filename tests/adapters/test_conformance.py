"""Our five adapters keep what the kit asks of everybody's."""

from pathlib import Path

from wickwire.testing import conformance

HERE = Path(__file__).parent

test_alpaca = conformance("alpaca", samples=HERE / "alpaca" / "wire", effort=4)
test_coinbase = conformance("coinbase", samples=HERE / "coinbase" / "wire", effort=4)
test_dxlink = conformance("dxlink", samples=HERE / "dxlink" / "samples", effort=4)
test_kraken = conformance("kraken", samples=HERE / "kraken" / "wire", effort=4)
test_yahoo = conformance("yahoo", samples=HERE / "yahoo" / "wire", effort=4)
