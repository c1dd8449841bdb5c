"""What the server does with a report on one limit, while nobody else is served. Why: decision 124.

The rules are those of the framework's meters, which a test plays beside it. Times are seconds of the server's
own clock; where it was set back, all that is remembered moves with it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SETTLE"]

SETTLE: Final = """\
-- KEYS: what is remembered of the limit
-- ARGV: the report, in JSON
local ask, key = cjson.decode(ARGV[1]), KEYS[1]
local EDGE, RESERVED, CREDIT, OTHERS, FADING, WHOLE, SOON = 0.005, 4, 1, 1.25, 0.75, 1, 1e-6
local null, max, min, floor, inf = cjson.null, math.max, math.min, math.floor, math.huge

local now = ask.now
if now == null then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1e6
end

-- state: gen, now, log (when, cost, ...), open (by call: member, cost, since), rules, seen, closed, probes
local text = redis.call('GET', key)
local fine, state = pcall(cmsgpack.unpack, text or '')
if not fine or type(state) ~= 'table' or state.form ~= 1 then
  state = {form = 1, gen = string.format('%.6f.%s', now, ask.member), now = now, log = {}, open = {},
    rules = {}, seen = {}, closed = 0, probes = false}
end
if now < state.now then
  local back = state.now - now
  for i = 1, #state.log, 2 do state.log[i] = state.log[i] - back end
  for _, one in pairs(state.open) do one.since = one.since - back end
  for member, at in pairs(state.seen) do state.seen[member] = at - back end
  for _, rule in pairs(state.rules) do
    rule.full, rule.paced = rule.full - back, rule.paced - back
    if rule.turned then rule.turned = rule.turned - back end
  end
  state.closed = state.closed - back
end
state.now = now

local function keep(life)
  redis.call('SET', key, cmsgpack.pack(state), 'PX', string.format('%.0f', life * 1000))
end

if ask.generation ~= '' and ask.generation ~= state.gen then
  keep(ask.lease + 60)
  return cjson.encode({state.gen, 0, 0, 0, 1, 0})
end

-- the rules: of this process, which it keeps to, among those of all, which count
local mine, longest, memory = {}, 0, 0
for _, part in ipairs(ask.rates) do
  local amount, per, burst, bucket = unpack(part)
  local name = string.format('%.17g %.17g %.17g %s', amount, per, burst, tostring(bucket))
  local rule = state.rules[name]
  if not rule then
    rule = {amount = amount, per = per, burst = burst, bucket = bucket, spreads = bucket or burst < amount,
      step = per / amount, full = 0, paced = 0, foreign = 0, before = 0}
    if rule.spreads then
      for _, other in pairs(state.rules) do
        if other.spreads then rule.full = max(rule.full, other.full) end
      end
      rule.full = min(rule.full, now + rule.step * burst)
    end
    state.rules[name] = rule
  end
  mine[#mine + 1] = rule
end
for _, rule in pairs(state.rules) do
  if not rule.bucket then longest = max(longest, rule.per + EDGE) end
  memory = max(memory, 2 * (rule.per + EDGE), rule.step * rule.burst, rule.full - now)
end

local function open_cost()
  local sum = 0
  for _, one in pairs(state.open) do sum = sum + one.cost end
  return sum
end

local function fill(rule, cost, at)
  rule.full = max(rule.full, at) + rule.step * cost
end

local function began(id, cost)
  state.open[id] = {member = ask.member, cost = cost, since = now}
  for _, rule in pairs(state.rules) do
    if rule.bucket == false then
      rule.paced = max(rule.paced, now - CREDIT * rule.step) + rule.step * cost
      if rule.spreads then fill(rule, cost, now) end
    end
  end
end

local function count(cost, at)
  local log, place = state.log, #state.log + 1
  while place > 1 and log[place - 2] > at do place = place - 2 end
  table.insert(log, place, cost)
  table.insert(log, place, at)
  for _, rule in pairs(state.rules) do
    if rule.bucket then fill(rule, cost, at) end
  end
  state.probes = state.probes and now < state.closed
end

-- who reports is there; who was not heard of for a lease is not, and what it had under way counts as of then
state.seen[ask.member] = now
for member, at in pairs(state.seen) do
  if at + ask.lease <= now then
    for id, one in pairs(state.open) do
      if one.member == member then
        state.open[id] = nil
        count(one.cost, at + ask.lease)
      end
    end
    state.seen[member] = nil
  end
end

-- what is under way as this process says, and nothing else of it
local held = {}
for _, claim in ipairs(ask.held) do
  local id = ask.member .. ':' .. string.format('%.0f', claim[1])
  held[id] = true
  if not state.open[id] then began(id, claim[2]) end
end
for _, claim in ipairs(ask.claims) do held[ask.member .. ':' .. string.format('%.0f', claim[1])] = true end
for _, one in ipairs(ask.spent) do held[ask.member .. ':' .. string.format('%.0f', one[1])] = true end
for id, one in pairs(state.open) do
  if one.member == ask.member and not held[id] then state.open[id] = nil end
end

while #state.log > 0 and state.log[1] + 2 * longest <= now do
  table.remove(state.log, 1)
  table.remove(state.log, 1)
end

local function fade(rule)
  local span = rule.per + EDGE
  if rule.turned and now - rule.turned < span then return end
  local before = 0
  if rule.turned then
    local turns = min(floor((now - rule.turned) / span), 50)
    before = max(rule.foreign, rule.before * FADING) * FADING ^ (turns - 1)
  end
  rule.before, rule.foreign, rule.turned = before >= 1 and before or 0, 0, now
end

-- what replies say is left: others may use the account who do not share
local function told_of(most)
  if most == null then return mine[1] end
  local nearest, least = nil, inf
  for _, rule in ipairs(mine) do
    local apart = math.abs((rule.bucket and rule.burst or rule.amount) - most)
    if apart < least then nearest, least = rule, apart end
  end
  return nearest
end

local function hear(left, most, cost, age, next_s)
  local rule = told_of(most)
  if not rule then return true end
  if rule.bucket then
    local full = now + rule.step * max(rule.burst - left - cost, 0)
    if full <= max(rule.full, now) + rule.step then return false end
    rule.full = full
    return true
  end
  fade(rule)
  local since, span = now - age, rule.per + EDGE
  rule.most = most == null and rule.amount or most
  local used, from, ours, known = rule.most - left, since - span, 0, cost
  if next_s ~= null then from = max(from, since + next_s - rule.per - WHOLE) end
  for i = 1, #state.log, 2 do
    local at, logged = state.log[i], state.log[i + 1]
    if at > from then ours = ours + logged end
    if at <= since and at + span > now then known = known + logged end
  end
  if used <= ours + open_cost() then return false end
  local theirs = used - known
  rule.foreign = max(rule.foreign, theirs <= 1 and theirs or theirs * OTHERS + 1)
  return true
end

for _, hint in ipairs(ask.hints) do
  local left, _, _, _, next_s = unpack(hint)
  if hear(unpack(hint)) and left < 1 and next_s ~= null then
    state.probes, state.closed = true, max(state.closed, now + next_s)
  end
end
if ask.pause ~= null then
  state.probes, state.closed = true, max(state.closed, now + ask.pause)
end

for _, one in ipairs(ask.spent) do
  local id, cost, age, known = ask.member .. ':' .. string.format('%.0f', one[1]), one[2], one[3], one[4]
  if state.open[id] then
    state.open[id] = nil
    count(cost, now - age)
  elseif not known then
    count(cost, now - age)
  end
end

-- what may go
local function rule_wait(rule, cost, under_way, urgent)
  local wait = 0
  if not rule.bucket then
    fade(rule)
    local span = rule.per + EDGE
    local room = max(min(rule.amount, (rule.most or inf) - max(rule.foreign, rule.before)), cost)
    if under_way + cost > room then return inf end
    local over = under_way + cost - room
    for i = 1, #state.log, 2 do
      if state.log[i] + span > now then over = over + state.log[i + 1] end
    end
    for i = 1, #state.log, 2 do
      if over <= 0 then break end
      if state.log[i] + span > now then
        over, wait = over - state.log[i + 1], state.log[i] + span - now
      end
    end
    if not urgent then wait = max(wait, rule.paced - now) end
  end
  if rule.spreads then
    local reserved = urgent and 0 or floor(rule.burst / RESERVED)
    local room = max(rule.burst - reserved, cost)
    local filling = rule.bucket and under_way or 0
    if filling + cost > room then return inf end
    wait = max(wait, rule.full - now - rule.step * (room - filling - cost))
  end
  return wait
end

local granted, wait = 0, 0
for _, claim in ipairs(ask.claims) do
  local number, cost, urgent = unpack(claim)
  local id = ask.member .. ':' .. string.format('%.0f', number)
  if not state.open[id] then
    local under_way = open_cost()
    wait = max(0, state.closed - now)
    for _, rule in ipairs(mine) do wait = max(wait, rule_wait(rule, cost, under_way, urgent)) end
    if state.probes and under_way > 0 then wait = inf end
    if wait >= SOON then break end
    began(id, cost)
  end
  granted, wait = granted + 1, 0
end

if ask.leaves then
  for id, one in pairs(state.open) do
    if one.member == ask.member then
      state.open[id] = nil
      count(one.cost, now)
    end
  end
  state.seen[ask.member] = nil
end
local members, silent = 0, 0
for _, at in pairs(state.seen) do
  members = members + 1
  if at + ask.silent <= now then silent = silent + 1 end
end
keep(max(memory, state.closed - now, ask.lease) + 60)
local paused = max(state.closed - now, 0)
return cjson.encode({state.gen, granted, wait == inf and -1 or wait, paused, members, silent})
"""
