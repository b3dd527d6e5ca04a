-- Fixed window: a count per window, windows aligned to the epoch. Joined into check_one, check_all and refund.
-- KEYS    string `used=<n> from=<µs>`: n were admitted in the window that began then
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local arity = 2
local limit, window = ARGV[p] + 0, ARGV[p + 1] + 0
-- The window, what is used in it, whether there is a key, and whether that key is known to end with the window: one from
-- which all was given back ends sooner.
local from, used, found, keeps

local function load(key)
  from, used, found, keeps = now - now % window, 0, false, false
  local value = redis.pcall('GET', key)
  if not value then return true end
  if value.err then return false end
  local count, time = match(value, '^used=([0-9]+) from=([0-9]+)$')
  if not count then return false end
  local _, began, reset = settle(time + 0)
  if began < from then return true end
  from, used, found = began - began % window, count + 0, true
  keeps = used > 0 and not reset
  return true, reset
end

local function take(key, cost, consumes)
  if cost > limit then return 'exceeds', 0 end
  if used + cost > limit then return 'refused', from + window - now end
  if consumes then used = used + cost end
  return 'allowed', 0
end

local function report() return used < limit and limit - used or 0, used > 0 and from + window - now or 0 end

local function life() return used > 0 and ceil((from + window - now) / 1000) or 0 end

local function save(key) store(key, format('used=%d from=%d', used, from), life(), keeps and used > 0) end

local function refund(key, amount, receipt)
  if receipt and receipt - receipt % window ~= from then return 'void' end
  if not found then return 'nothing' end
  used = used > amount and used - amount or 0
  save(key)
  return 'refunded', from + window - now
end
