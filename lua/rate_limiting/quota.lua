-- Quota: a count per calendar period. Joined into check_one, check_all and refund. The periods come with the call; which
-- of them it is, is decided by the clock here, and a call none of whose periods fits is answered `stale` and does nothing.
-- KEYS    string `used=<n> from=<µs>`: n were admitted in the period that began then
-- ARGV    limit, then the starts of four periods in µs: previous, current, following, the one after
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local arity = 5
local limit = ARGV[p] + 0

-- The period of a moment: its start and its end.
local function period(moment)
  for i = p + 3, p + 1, -1 do
    if moment >= ARGV[i] + 0 then return ARGV[i] + 0, ARGV[i + 1] + 0 end
  end
end

-- The clock lies in none of the three periods that the starts span. The last second counts as outside: a state may be a
-- second ahead, in a period whose end the call would not know.
if now < ARGV[p + 1] + 0 or now + 1000000 >= ARGV[p + 4] + 0 then stale = true end

-- The period, what is used in it, whether there is a key, and whether that key is known to end with the period: one from
-- which all was given back ends sooner.
local from, ends, used, found, keeps

local function load(key)
  from, ends = period(now)
  used, found, keeps = 0, false, false
  local value = redis.pcall('GET', key)
  if not value then return true end
  if value.err then return false end
  local count, time = match(value, '^used=([0-9]+) from=(-?[0-9]+)$')
  if not count then return false end
  local _, began, reset = settle(time + 0)
  if began < from then return true end
  -- A second ahead may be the next period already, which the call's starts still reach.
  from, ends = period(began)
  used, found = count + 0, true
  keeps = used > 0 and not reset
  return true, reset
end

local function take(key, cost, consumes)
  if cost > limit then return 'exceeds', 0 end
  if used + cost > limit then return 'refused', ends - now end
  if consumes then used = used + cost end
  return 'allowed', 0
end

local function report() return used < limit and limit - used or 0, used > 0 and ends - now or 0 end

local function life() return used > 0 and ceil((ends - now) / 1000) or 0 end

local function save(key) store(key, format('used=%d from=%d', used, from), life(), keeps and used > 0) end

local function refund(key, amount, receipt)
  if receipt and (receipt < from or receipt >= ends) then return 'void' end
  if not found then return 'nothing' end
  used = used > amount and used - amount or 0
  save(key)
  return 'refunded', ends - now
end
