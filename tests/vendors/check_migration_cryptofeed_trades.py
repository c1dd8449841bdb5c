"""The callbacks of docs/migration/cryptofeed.md against the simulated Coinbase: candles built from trades."""

import sqlite3
from decimal import Decimal

from checks import Truth, check, main, same
from cryptofeed.exchanges import Coinbase
from cryptofeed_checks import listened, redirected, true_rows
from migration_checks import loaded

before = loaded("cryptofeed_before")


@check("Built candles: right while all is well; over a cut one is missing, and two lack trades")
async def candles(truth: Truth) -> None:
    # the products for everybody: those that it asks for want a signed request
    redirected(Coinbase, truth, "/api/v3/brokerage/market/products")
    database = sqlite3.connect(":memory:")

    began_s = await listened(
        truth, before.coinbase(before.Minutes(database)), cut_s=165, back_s=245, until_s=440
    )

    rows = database.execute("select open_s, open, high, low, close, volume from candles")
    told = {opened: list(map(Decimal, row)) for opened, *row in rows}
    true = true_rows(truth, began_s + 60, began_s + 420)
    same(told[began_s + 60], true[began_s + 60], "before the cut")
    wanting = [one for one in true if one not in told or told[one][4] < true[one][4]]
    same(
        wanting, [began_s + 60 * number for number in range(2, 6)], "minutes that are missing or lack trades"
    )
    same([one for one in wanting if one not in told], [began_s + 180, began_s + 240], "missing")
    same(told[began_s + 360], true[began_s + 360], "after the cut")


if __name__ == "__main__":
    main()
