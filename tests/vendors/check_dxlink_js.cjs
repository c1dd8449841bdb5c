// The official JavaScript client of DXLink against the simulated one: what it parses is compared with the truth.
//
// It decodes by the fields that the server confirmed, and so judges FEED_CONFIG as the Python SDK cannot.
// Usage: node check_dxlink_js.cjs ADDRESSES DISTRIBUTION, in a folder where the distribution is installed.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { createRequire } = require('node:module')

const here = createRequire(path.join(process.cwd(), 'package.json'))
globalThis.WebSocket ??= here('ws') // before version 22 Node has none of its own
const { DXLinkWebSocketClient, DXLinkFeed, FeedContract, FeedDataFormat, DXLinkAuthState, DXLinkLogLevel } =
  here('@dxfeed/dxlink-api')

const places = JSON.parse(process.argv[2])
const MINUTE_MS = 60_000
const COIN = 'BTC/USD:CXTALP'
const CANDLE = ['eventSymbol', 'eventFlags', 'time', 'count', 'open', 'high', 'low', 'close', 'volume']
const QUOTE = ['eventSymbol', 'bidPrice', 'askPrice', 'bidSize', 'askSize']
const SALE = ['eventSymbol', 'time', 'timeNanoPart', 'price', 'size', 'aggressorSide', 'type', 'validTick']
const checks = []
const check = (promise, run) => checks.push([promise, run])

// ------------------------------------------------------------------------------------------------ the truth

async function asked(where, query = {}) {
  const reply = await fetch(`${places.truth}${where}?${new URLSearchParams(query)}`)
  assert.equal(reply.status, 200)
  return JSON.parse((await reply.text()).replace(/("(?:now|\w+_ns)":\s*)(\d{16,})/g, '$1"$2"'))
}
const nowMs = async () => Math.floor((await asked('/now')) / 1e6)
const inject = (fault, details = {}) => asked('/inject', { fault, details: JSON.stringify(details) })
const range = (symbol, sinceMs, untilMs) =>
  ({ symbol, since_ns: `${sinceMs}000000`, until_ns: `${untilMs}000000` })

async function trueCandles(symbol, sinceMs, untilMs) {
  const rows = await asked('/candles', { ...range(symbol, sinceMs, untilMs), timeframe: '1m', grid: 'utc' })
  return rows.map((row) => [
    Number(BigInt(row.open_ns) / 1_000_000n), row.trade_count,
    ...['open', 'high', 'low', 'close', 'volume'].map((name) => Number(row[name])),
  ])
}
const toldCandle = (row) => [row.time, row.count, row.open, row.high, row.low, row.close, row.volume]

// ---------------------------------------------------------------------------------------------- the client

async function token() {
  const headers = { 'User-Agent': 'vendor-check/1.0', 'Content-Type': 'application/json' }
  const wish = { grant_type: 'refresh_token', client_secret: 'secret', refresh_token: 'refresh' }
  const login = await fetch(`${places.rest}/oauth/token`, { method: 'POST', headers, body: JSON.stringify(wish) })
  const bearer = { ...headers, Authorization: `Bearer ${(await login.json()).access_token}` }
  return (await (await fetch(`${places.rest}/api-quote-tokens`, { headers: bearer })).json()).data
}

async function until(done, what, limitMs = 20_000) {
  const end = Date.now() + limitMs
  while (!(await done())) {
    assert.ok(Date.now() < end, `not within ${limitMs / 1000} s: ${what}`)
    await new Promise((wake) => setTimeout(wake, 30))
  }
}

// Runs `play` with a client that is closed in the end.
async function withClient(play, options = {}, where = undefined) {
  const client = new DXLinkWebSocketClient({ logLevel: DXLinkLogLevel.ERROR, ...options })
  const errors = []
  client.addErrorListener((error) => errors.push(error))
  try {
    if (where === undefined) {
      const granted = await token()
      client.setAuthToken(granted.token)
      client.connect(granted['dxlink-url'])
    } else client.connect(where)
    await play(client, errors)
  } finally {
    client.close()
  }
}

// Opens a feed and keeps what it brings; `said` is every configuration, in order.
function feedOf(client, contract, fields, options = {}) {
  const feed = new DXLinkFeed(client, contract, { logLevel: DXLinkLogLevel.ERROR })
  const events = []
  feed.addEventListener((news) => events.push(...news))
  feed.configure({
    acceptAggregationPeriod: 0.1, acceptDataFormat: FeedDataFormat.COMPACT, acceptEventFields: fields, ...options,
  })
  return { feed, events }
}

const END = 0x08
const REMOVE = 0x02
const ended = (events) => events.some((row) => row.eventType === 'Candle' && row.eventFlags & END)
const wanted = (symbol, fromTime) => ({ type: 'Candle', symbol, fromTime })

async function sameCandles(events, symbol) {
  const rows = new Map(events.filter((row) => !(row.eventFlags & REMOVE)).map((row) => [row.time, row]))
  const times = [...rows.keys()].sort((one, other) => one - other)
  const forming = times.pop()
  const true_ = await trueCandles(symbol, times[0], forming)
  assert.deepEqual(times.map((time) => toldCandle(rows.get(time))), true_)
  return times.length
}

// ------------------------------------------------------------------------------------------------- checks

check('The client is let in with a token, and knows what both sides announced', () =>
  withClient(async (client, errors) => {
    await until(() => client.getAuthState() === DXLinkAuthState.AUTHORIZED, 'AUTHORIZED')
    const details = client.getConnectionDetails()
    assert.deepEqual(
      [details.protocolVersion, details.serverKeepaliveTimeout, details.clientKeepaliveTimeout], ['0.1', 60, 60])
    assert.match(details.serverVersion, /^1\.0-/)
    assert.deepEqual(errors, [])
  }))

check('The demo path lets in without a token; any other path is none', async () => {
  await withClient(async (client) => {
    await until(() => client.getAuthState() === DXLinkAuthState.AUTHORIZED, 'AUTHORIZED')
  }, {}, `${places.stream}/dxlink-ws`)
  await withClient(async (client) => {
    await new Promise((wake) => setTimeout(wake, 500))
    assert.notEqual(client.getAuthState(), DXLinkAuthState.AUTHORIZED)
  }, { maxReconnectAttempts: 1 }, `${places.stream}/elsewhere`)
})

check('HISTORY: a snapshot of candles, newest first, is the market; live rows go on from there', () =>
  withClient(async (client) => {
    const { feed, events } = feedOf(client, FeedContract.HISTORY, { Candle: CANDLE })
    const since = Math.floor((await nowMs()) / MINUTE_MS) * MINUTE_MS - 30 * MINUTE_MS
    feed.addSubscriptions(wanted(`${COIN}{=1m}`, since))
    await until(() => ended(events), 'the end of the snapshot')
    const times = events.slice(0, events.findIndex((row) => row.eventFlags & END) + 1).map((row) => row.time)
    assert.deepEqual(times, [...times].sort((one, other) => other - one))
    assert.equal(events[0].eventFlags, 4)
    assert.deepEqual(new Set(events.map((row) => row.eventSymbol)), new Set([`${COIN}{=m}`]))
    const before = events.length
    await until(() => events.length > before + 5, 'live rows')
    assert.ok((await sameCandles(events, 'BTC/USD')) >= 29)
    assert.deepEqual(feed.getConfig().eventFields.Candle, CANDLE)
    assert.equal(feed.getConfig().dataFormat, FeedDataFormat.COMPACT)
  }))

check('TICKER: quotes are those of the market', () =>
  withClient(async (client) => {
    const { feed, events } = feedOf(client, FeedContract.TICKER, { Quote: QUOTE })
    feed.addSubscriptions({ type: 'Quote', symbol: COIN }, { type: 'Quote', symbol: 'AAPL' })
    await until(() => events.length > 20 && events.some((row) => row.eventSymbol === 'AAPL'), 'quotes')
    const heard = [...events]
    const now = await nowMs()
    for (const [symbol, name] of [['BTC/USD', COIN], ['AAPL', 'AAPL']]) {
      const known = new Set((await asked('/quotes', range(symbol, now - 20 * MINUTE_MS, now)))
        .map((quote) => quote.map(Number).join()))
      const told = heard.filter((row) => row.eventSymbol === name)
      const strange = told.map((row) => [row.bidPrice, row.bidSize, row.askPrice, row.askSize].join())
        .filter((quote) => !known.has(quote))
      assert.deepEqual(strange, [], name)
    }
  }))

check('STREAM: every sale is a trade of the market, none is missing', () =>
  withClient(async (client) => {
    const { feed, events } = feedOf(
      client, FeedContract.STREAM, { TimeAndSale: SALE }, { acceptAggregationPeriod: 0 })
    feed.addSubscriptions({ type: 'TimeAndSale', symbol: COIN })
    await until(() => events.length > 25, 'sales')
    const told = events.filter((row) => row.validTick)
    const [first, last] = [told[0].time, told.at(-1).time]
    const true_ = (await asked('/trades', range('BTC/USD', first, last + 1))).map((row) =>
      [Number(BigInt(row.time_ns) / 1_000_000n), Number(BigInt(row.time_ns) % 1_000_000n),
        Number(row.price), Number(row.size), row.side.toUpperCase()])
    const shown = told.map((row) => [row.time, row.timeNanoPart, row.price, row.size, row.aggressorSide])
    const begin = true_.findIndex((row) => row[0] === first && row[1] === shown[0][1])
    assert.deepEqual(shown, true_.slice(begin, begin + shown.length))
  }))

check('Fields that are not confirmed, or come in another order, are decoded by the confirmation', async () => {
  for (const [fault, details, left] of [
    ['trim', { fields: 'count volume' }, ['count', 'volume']], ['reorder', {}, []],
  ]) {
    await inject(fault, details)
    try {
      await withClient(async (client) => {
        const { feed, events } = feedOf(client, FeedContract.AUTO, { Candle: CANDLE })
        const since = Math.floor((await nowMs()) / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS
        feed.addSubscriptions(wanted(`${COIN}{=m}`, since))
        await until(() => ended(events), `the snapshot with ${fault}`)
        const confirmed = CANDLE.filter((name) => !left.includes(name))
        if (fault === 'reorder') confirmed.reverse()
        assert.deepEqual(feed.getConfig().eventFields.Candle, confirmed)
        const forming = Math.max(...events.map((row) => row.time))
        const rows = events.filter((row) => !(row.eventFlags & REMOVE) && row.time < forming)
        const true_ = new Map((await trueCandles('BTC/USD', since, await nowMs())).map((row) => [row[0], row]))
        for (const row of rows) {
          assert.deepEqual([row.open, row.high, row.low, row.close], true_.get(row.time).slice(2, 6))
        }
        assert.ok(rows.length >= 9)
      })
    } finally {
      await inject(fault, { on: false })
    }
  }
})

check('FULL: objects hold the same candles', () =>
  withClient(async (client) => {
    const { feed, events } = feedOf(
      client, FeedContract.HISTORY, { Candle: CANDLE }, { acceptDataFormat: FeedDataFormat.FULL })
    const since = Math.floor((await nowMs()) / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS
    feed.addSubscriptions(wanted(`${COIN}{=1m}`, since))
    await until(() => ended(events), 'the end of the snapshot')
    assert.equal(feed.getConfig().dataFormat, FeedDataFormat.FULL)
    assert.ok((await sameCandles(events, 'BTC/USD')) >= 9)
  }))

check('What is removed is told no more; another channel goes on', () =>
  withClient(async (client) => {
    const one = feedOf(client, FeedContract.TICKER, { Quote: QUOTE })
    const other = feedOf(client, FeedContract.TICKER, { Quote: QUOTE })
    one.feed.addSubscriptions({ type: 'Quote', symbol: COIN })
    other.feed.addSubscriptions({ type: 'Quote', symbol: COIN })
    await until(() => one.events.length && other.events.length, 'quotes on both')
    one.feed.removeSubscriptions({ type: 'Quote', symbol: COIN })
    await new Promise((wake) => setTimeout(wake, 1_000))
    const before = [one.events.length, other.events.length]
    await until(() => other.events.length > before[1] + 3, 'more quotes')
    assert.equal(one.events.length, before[0])
  }))

check('An ERROR is told and ends nothing; a cut is mended, channels and subscriptions come back', () =>
  withClient(async (client, errors) => {
    const { feed, events } = feedOf(client, FeedContract.TICKER, { Quote: QUOTE })
    feed.addSubscriptions({ type: 'Quote', symbol: COIN })
    await until(() => events.length, 'a quote')
    await inject('error', { error: 'UNKNOWN', text: 'Something happened.' })
    await until(() => errors.length, 'the error')
    assert.deepEqual(errors.map((error) => [error.type, error.message]), [['UNKNOWN', 'Something happened.']])
    let before = events.length
    await until(() => events.length > before + 2, 'quotes after the error')
    await inject('hangup', { code: 1006 })
    before = events.length
    await until(() => events.length > before + 5, 'quotes after the cut')
  }, { maxReconnectAttempts: 5 }))

check('A server that announces 2 s and is silent is left, and met again', async () => {
  await inject('keepalive', { seconds: 2 })
  try {
    await withClient(async (client) => {
      const { feed, events } = feedOf(client, FeedContract.TICKER, { Quote: QUOTE })
      feed.addSubscriptions({ type: 'Quote', symbol: COIN })
      await until(() => events.length, 'a quote')
      assert.equal(client.getConnectionDetails().serverKeepaliveTimeout, 2)
      await inject('stall')
      const states = []
      client.addConnectionStateChangeListener((state) => states.push(state))
      await until(() => states.includes('CONNECTING'), 'the client leaves')
      await inject('stall', { on: false })
      const before = events.length
      await until(() => events.length > before + 3, 'quotes after the silence')
    }, { keepaliveInterval: 1, maxReconnectAttempts: 5 })
  } finally {
    await inject('stall', { on: false })
    await inject('keepalive', { seconds: 60 })
  }
})

check('The files of @dxfeed/dxlink-api and what it brings are as they were published', async () => {
  const published = JSON.parse(fs.readFileSync('published.json', 'utf8'))
  assert.ok(Object.keys(published).some((name) => name.startsWith('node_modules/@dxfeed/dxlink-api/')))
  for (const [name, hash] of Object.entries(published)) {
    assert.equal(crypto.createHash('sha256').update(fs.readFileSync(name)).digest('hex'), hash, name)
  }
})

async function main() {
  for (const [promise, run] of checks) {
    const started = Date.now()
    let trouble = ''
    try {
      await run()
    } catch (error) {
      trouble = String(error.stack)
    }
    console.log(JSON.stringify({ promise, took_s: Math.round((Date.now() - started) / 100) / 10, trouble }))
  }
  process.exit(0)
}

main()
