-- The clock of a call, joined in front of every script that counts.
-- KEYS    those of the script it is joined into
-- ARGV    1 now, µs since the epoch; '' for Redis's own clock
-- RETURNS nothing by itself: defines `now`, `given`, `resets` and `settle`
-- EFFECTS none
-- COST    O(1)
local given = ARGV[1] ~= ''
local now
if given then
  now = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
-- States found so far ahead of the clock that it must have jumped.
local resets = 0

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

-- Writes a state that says nothing any more after `life` ms. Under a given clock the key must outlive the simulation,
-- whose clock is not Redis's.
local function store(key, value, life)
  redis.call('SET', key, value, 'PX', string.format('%d', given and life + 60000 or life))
end

local function expire(key, life)
  redis.call('PEXPIRE', key, given and life + 60000 or life)
end
