-- What a call begins with: its clock, joined in front of every script that counts.
-- KEYS    those of the script it is joined into
-- ARGV    1 now, µs since the epoch; '' for Redis's own clock
-- RETURNS nothing by itself: defines `now`, `given`, `resets`, `stale`, `settle`, `store`, `margin` and short names
-- EFFECTS none
-- COST    O(1)
local floor, ceil, frexp, format, match = math.floor, math.ceil, math.frexp, string.format, string.match

local given = ARGV[1] ~= ''
local now
if given then
  now = ARGV[1] + 0
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
-- States found so far ahead of the clock that it must have jumped.
local resets = 0
-- Whether a quota's calendar periods do not cover now.
local stale = false

-- When a state last touched at `at` is judged: the clock never runs backwards for a key. A state at most one second
-- ahead is held at its own time; one further ahead is from a clock that had jumped, and its time is set to now, which
-- must be written even if nothing is consumed, or it would be found ahead again and again. Returns the time to judge at,
-- the state's own, and whether it was set.
local function settle(at)
  if at <= now then return now, at, false end
  if at - now <= 1000000 then return at, at, false end
  resets = resets + 1
  return now, now, true
end

-- How long a key is kept whose state says nothing any more after `life` ms: under a given clock it must outlive the
-- simulation, whose clock is not Redis's.
local margin = given and 60000 or 0
local function kept(life) return format('%d', (life > 0 and life or 1) + margin) end

-- Writes a state that says nothing any more after `life` ms. With `keeps`, the key is known to live for so long already:
-- then its end is left as it is, which costs half as much. Under a given clock nobody knows.
local function store(key, value, life, keeps)
  if keeps and not given then
    redis.call('SET', key, value, 'KEEPTTL')
  else
    redis.call('SET', key, value, 'PX', kept(life))
  end
end

local function expire(key, life) redis.call('PEXPIRE', key, kept(life)) end
