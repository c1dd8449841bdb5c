"""The callbacks of docs/migration/cryptofeed.md against the simulated Kraken: candles, trades and quotes."""

import sqlite3
from decimal import Decimal

from checks import Truth, check, main, same
from cryptofeed.exchanges import Kraken
from cryptofeed_checks import listened, redirected, true_rows
from migration_checks import loaded, read_as

before = loaded("cryptofeed_before")


@check(
    "Candles: right while all is well; over a cut the running one is taken for closed, and two are missing"
)
async def candles(truth: Truth) -> None:
    redirected(Kraken, truth, "/0/public/AssetPairs")
    database = sqlite3.connect(":memory:")
    minutes = before.Minutes(database)

    began_s = await listened(truth, before.kraken(minutes), cut_s=165, back_s=245, until_s=380)

    told = {opened: list(map(Decimal, row)) for opened, row in read_as("cryptofeed", database).items()}
    true = true_rows(truth, began_s, began_s + 360)
    calm = [began_s + 60 * number for number in range(2)]
    same({one: told.get(one) for one in calm}, {one: true[one] for one in calm}, "before the cut")
    forming = began_s + 120
    assert told[forming][4] < true[forming][4], "the volume of the minute in which it was cut"
    same(sorted(true.keys() - told.keys()), [began_s + 180, began_s + 240], "minutes that are missing")
    same(told[began_s + 300], true[began_s + 300], "after the cut")
    assert minutes.quotes
    assert minutes.last_trade


if __name__ == "__main__":
    main()
