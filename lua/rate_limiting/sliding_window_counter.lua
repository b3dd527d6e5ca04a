-- Sliding window counter: the previous window's count, weighted by how much of it the sliding window still covers, and
-- the current one's. Joined into check_one, check_all and refund. Admits iff
-- previous·(window − elapsed) + (current + cost)·window ≤ limit·window, in exact integers.
-- (Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017.)
-- KEYS    string `previous=<n> current=<n> at=<µs>`: the counts at that time; the window it lies in is the current one
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local arity = 2
local limit, window = ARGV[p] + 0, ARGV[p + 1] + 0
-- The counts at which time, the beginning of its window, whether there is a key that says something, and whether that key
-- lives for as long as the current count counts.
local previous, current, at, from, found, keeps

local function load(key)
  previous, current, at, from, found, keeps = 0, 0, now, now - now % window, false, false
  local value = redis.pcall('GET', key)
  if not value then return true end
  if value.err then return false end
  local before, count, time = match(value, '^previous=([0-9]+) current=([0-9]+) at=([0-9]+)$')
  if not before then return false end
  before, count, time = before + 0, count + 0, time + 0
  local elapsed = time % window
  local began = time - elapsed
  local reset
  at, time, reset = settle(time)
  from, found = at - at % window, true
  if reset then
    -- From a clock that had jumped: what counted at that time counts as made now.
    current = count + ceil(before * (window - elapsed) / window)
  elseif began == from then
    previous, current, keeps = before, count, count > 0
  elseif began + window == from then
    previous = count
  else
    found = false
  end
  return true, reset
end

-- µs until both counts say nothing.
local function rest()
  if current > 0 then return from + 2 * window - now end
  return previous > 0 and from + window - now or 0
end

local function take(key, cost, consumes)
  if cost > limit then return 'exceeds', 0 end
  local room = limit - current - cost
  if room < 0 then
    -- In the next window, where the current count is the previous one.
    local covered = floor((limit - cost) * window / current)
    return 'refused', from + window + (covered < window and window - covered or 0) - now
  end
  if previous * (from + window - at) > room * window then
    -- Within this window, once little enough of the previous one is covered.
    return 'refused', from + window - floor(room * window / previous) - now
  end
  if consumes then current = current + cost end
  return 'allowed', 0
end

local function report()
  local left = (limit - current) * window - previous * (from + window - at)
  return left > 0 and floor(left / window) or 0, rest()
end

local function life() return ceil(rest() / 1000) end

local function save(key)
  store(key, format('previous=%d current=%d at=%d', previous, current, at), life(), keeps and current > 0)
end

local function refund(key, amount, receipt)
  local back = receipt and receipt - receipt % window or from
  if back ~= from and back + window ~= from then return 'void' end
  if not found then return 'nothing' end
  if back == from then
    current = current > amount and current - amount or 0
  else
    previous = previous > amount and previous - amount or 0
  end
  save(key)
  return 'refunded', (back == from and 2 or 1) * window + from - now
end
