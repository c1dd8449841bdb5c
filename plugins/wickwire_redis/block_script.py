"""What the server does with the blocks of the hot layer, while nobody else is served. Why: decision 125."""

from __future__ import annotations

from typing import Final

__all__ = ["FILL", "FORGET", "MOVE_ON"]

MOVE_ON: Final = """\
-- KEYS: how far the layer is, then a block for each series
-- ARGV: origin, writer, the seq behind which the candles are, the seq of the last, its mark,
--       how long to keep in ms, '1' where they are all there were,
--       then for each series: before when nothing has to be held,
--       then for each candle: number of its series, when it opens, seq, mark, member
-- answers 'lost', or 'ok', how far the layer is, and which series have no block that is ours
local state, origin, writer = KEYS[1], ARGV[1], ARGV[2]
local after, last, mark, keep, whole = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7] == '1'
local count = #KEYS - 1
local held = redis.call('HMGET', state, 'form', 'origin', 'seq', 'mark')
local seq = tonumber(held[3] or '')
if held[1] ~= '1' or held[2] ~= origin or not seq then return {'lost'} end

local news = {}
local known = seq == after or seq > last  -- whether what came before is ours
for at = 8 + count, #ARGV, 5 do
  local number, opens, its_seq, its_mark, member = unpack(ARGV, at, at + 4)
  its_seq = tonumber(its_seq)
  if its_seq == seq then
    if its_mark ~= held[4] then return {'lost'} end
    known = true
  end
  if its_seq > seq then
    number = tonumber(number)
    news[number] = news[number] or {}
    table.insert(news[number], {opens = opens, seq = its_seq, member = member})
  end
end

if not known then return {'lost'} end  -- it went back, or is another store's

local function put(block, since, candle)
  if candle.opens < since then return end
  local old = redis.call('ZRANGEBYLEX', block, '[' .. candle.opens, '(' .. candle.opens .. '\\255')[1]
  if old then
    if tonumber(string.sub(old, 21, 36)) >= candle.seq then return end
    redis.call('ZREM', block, old)
  end
  redis.call('ZADD', block, 0, candle.member)
end

local answer = {'ok', string.format('%.0f', math.max(seq, last))}
local function take(number)
  local block, candles, floor = KEYS[number + 1], news[number], ARGV[7 + number]
  local head = redis.pcall('ZRANGEBYLEX', block, '[!', '("')[1] or ''  -- it may be a key of somebody else
  local its, since = string.match(head, '^!(%x+):(%d+)$')
  if its ~= origin then return table.insert(answer, number) end
  if not whole then  -- one that was revised meanwhile may be missing here
    redis.call('DEL', block)
    return table.insert(answer, number)
  end
  for _, candle in ipairs(candles) do put(block, since, candle) end
  if floor > since then
    redis.call('ZREMRANGEBYLEX', block, '[0', '(' .. floor)
    redis.call('ZREM', block, head)
    redis.call('ZADD', block, 0, '!' .. origin .. ':' .. floor)
  end
  redis.call('PEXPIRE', block, keep)
end

for number = 1, count do
  if news[number] then take(number) end
end
if seq < last then redis.call('HSET', state, 'seq', string.format('%.0f', last), 'mark', mark) end
if whole then
  local now = redis.call('TIME')
  redis.call('HSET', state, 'at', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
end
redis.call('HSET', state, 'writer', writer)
redis.call('PEXPIRE', state, keep)
return answer
"""

FILL: Final = """\
-- KEYS: how far the layer is, the block
-- ARGV: origin, the seq as of which the candles are, how long to keep in ms, head, candles
-- answers 'ok', 'there' where it has been filled, 'foreign' where a key of somebody else is in its place,
--         'lost', or 'late' where the layer is somewhere else by now
local state, block, origin = KEYS[1], KEYS[2], ARGV[1]
local held = redis.call('HMGET', state, 'form', 'origin', 'seq')
if held[1] ~= '1' or held[2] ~= origin then return 'lost' end
local found = redis.pcall('ZRANGEBYLEX', block, '[!', '("')
if found.err then return string.find(found.err, 'WRONGTYPE', 1, true) and 'foreign' or found end
local head = found[1] or ''
if head == '' and redis.call('ZRANGEBYLEX', block, '-', '+', 'LIMIT', 0, 1)[1] then return 'foreign' end
if string.match(head, '^!(%x+):') == origin then return 'there' end
if held[3] ~= ARGV[2] then return 'late' end
redis.call('DEL', block)
for at = 4, #ARGV do redis.call('ZADD', block, 0, ARGV[at]) end
redis.call('PEXPIRE', block, ARGV[3])
return 'ok'
"""

FORGET: Final = """\
-- KEYS: blocks
-- ARGV: origin, then for each block: before when it may hold nothing
for number, block in ipairs(KEYS) do
  local head, floor = redis.pcall('ZRANGEBYLEX', block, '[!', '("')[1] or '', ARGV[number + 1]
  local origin, since = string.match(head, '^!(%x+):(%d+)$')
  if origin == ARGV[1] and since < floor then
    redis.call('ZREMRANGEBYLEX', block, '[0', '(' .. floor)
    redis.call('ZADD', block, 0, '!' .. origin .. ':' .. floor)
    redis.call('ZREM', block, head)  -- last: a set that is empty in between goes, with its expiry
  end
end
"""
