"""What the server does with candles or quotes, while nobody else is served. Why: decisions 120 and 127."""

from __future__ import annotations

from typing import Final

__all__ = ["TAKE_CANDLES", "TAKE_QUOTES"]

TAKE_QUOTES: Final = """\
-- KEYS: where quotes stand
-- ARGV: how long they stay in s, then for each key: the channel, the row
for i, key in ipairs(KEYS) do
  local channel, row = ARGV[2 * i], ARGV[2 * i + 1]
  local said = redis.pcall('SET', key, row, 'EX', ARGV[1])
  if not said.err then said = redis.pcall('PUBLISH', channel, row) end
  if type(said) == 'table' and said.err then return redis.error_reply(said.err .. ' (at ' .. key .. ')') end
end
return redis.status_reply('OK')
"""

TAKE_CANDLES: Final = """\
-- KEYS: recent, latest, stream
-- ARGV: window in ms, how long to keep in ms, policy of XADD or '', its bound, the seq taken last or 0,
--       then for each candle: seq, open_ns, revision, open in ms, whether it may be recent, its row
-- answers OK, or LOST and up to which seq the stream has been kept; then nothing was taken
local recent, latest, stream = KEYS[1], KEYS[2], KEYS[3]
local window, keep, policy, bound = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local before = tonumber(ARGV[5])

local function revision_of(row)
  local decode = string.byte(row) == 123 and cjson.decode or cmsgpack.unpack
  local fine, value = pcall(decode, row)
  return fine and type(value) == 'table' and tonumber(value.revision) or -1
end

local function remember(open_ms, revision, row)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', recent, open_ms, open_ms)) do
    if old == row or revision_of(old) > tonumber(revision) then return end
    redis.call('ZREM', recent, old)
  end
  redis.call('ZADD', recent, open_ms, row)
end

local function holds(id, open_ns, revision)
  local found = redis.call('XRANGE', stream, id, id)[1]
  if not found then return false end
  local entry = {}
  for i = 1, #found[2], 2 do entry[found[2][i]] = found[2][i + 1] end
  return entry.open_ns == open_ns and entry.revision == revision
end

local function last_id()
  local facts = redis.pcall('XINFO', 'STREAM', stream)
  if facts.err and string.find(facts.err, 'no such key', 1, true) then return '0', '0' end
  if facts.err then facts = redis.call('XINFO', 'STREAM', stream) end
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then return string.match(facts[i + 1], '(%d+)-(%d+)') end
  end
end

local function append(seq, open_ns, revision, row)
  local least = policy == 'MINID' and string.format('%.0f', math.max(seq - bound, 0)) or bound
  local function add(id)
    return redis.pcall('XADD', stream, policy, '~', least, id,
      'seq', seq, 'open_ns', open_ns, 'revision', revision, 'candle', row)
  end
  local added = add(seq .. '-0')
  if type(added) ~= 'table' then return end
  if not string.find(added.err, 'equal or smaller', 1, true) then return added end
  -- a repeat, or the seq went back: another store, or a candle that was parked
  if holds(seq .. '-0', open_ns, revision) then return end
  local high, low = last_id()
  if holds(high .. '-' .. seq, open_ns, revision) then return end
  if tonumber(seq) <= tonumber(low) then high = string.format('%.0f', high + 1) end
  added = add(high .. '-' .. seq)
  if type(added) == 'table' then return added end
end

if policy ~= '' and before > 0 then  -- a server may have gone back to an older copy
  local held = last_id()
  if tonumber(held) < before then return redis.status_reply('LOST ' .. held) end
end

for i = 6, #ARGV, 6 do
  local seq, open_ns, revision, open_ms, hot, row = unpack(ARGV, i, i + 5)
  if hot == '1' then remember(open_ms, revision, row) end
  if policy ~= '' then
    local refused = append(seq, open_ns, revision, row)
    if refused then return refused end
  end
end

local newest = redis.call('ZRANGE', recent, -1, -1, 'WITHSCORES')
if newest[1] then
  redis.call('ZREMRANGEBYSCORE', recent, '-inf', string.format('%.17g', newest[2] - window))
  redis.call('SET', latest, newest[1], 'PX', keep)
  redis.call('PEXPIRE', recent, keep)
end
return redis.status_reply('OK')
"""
