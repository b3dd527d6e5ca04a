-- Token bucket: tokens come back at a steady rate up to a capacity. Joined into check_one, check_all and refund.
-- Computed as what is used up and drains, in units of 1/`unit` token, so that every step is an exact integer
-- (the bucket as a meter: ITU-T I.371, annex A).
-- KEYS    string `used=<units>/<unit>+<rate> at=<µs>`: units/unit tokens were used up at that time, and `rate` units come
--         back per µs
-- ARGV    rate (units that come back per µs), unit (units in a token), capacity and initial (tokens)
-- RETURNS see check_one
-- EFFECTS see check_one; the key of a bucket that begins below its capacity is written by the first request, allowed or
--         not, since its tokens come back from then on. A key outlives fullness by up to a quarter of the time to it
--         A refund with a receipt: what was consumed then drains like all else, so at most `amount` less what has drained
--         since is given back, at the present rate; void once that is nothing. More may be left of it (what was used
--         before it drains first), but who knows what of that was given back itself: never more than surely its own.
-- COST    O(1)
local arity = 4
local rate_text, unit_text, capacity = ARGV[p], ARGV[p + 1], ARGV[p + 2] + 0
local rate, unit = rate_text + 0, unit_text + 0
local full = capacity * unit
-- Absence means `initial`: below capacity, a key outlives fullness by a day.
local absent = (capacity - ARGV[p + 3]) * unit
local afterlife = absent > 0 and 86400000 or 0
-- What is used up at which time, whether there is a key, and when it ends at the earliest as far as is known (µs).
local used, at, found, ends

-- How a state is written, and how one is read that was written under the same limit.
local form = 'used=%d/' .. unit_text .. '+' .. rate_text .. ' at=%d'
local ours = '^used=([0-9]+)/' .. unit_text .. '%+' .. rate_text .. ' at=([0-9]+)$'

-- What was used under another limit, in our units; a fraction of one is rounded up. Both units divide the same window, so
-- that in lowest terms no product grows beyond it. So much that it is beyond exact integers stays at their end, which is
-- more than any capacity.
local function convert(units, per)
  local common, rest = per, unit
  while rest > 0 do common, rest = rest, common % rest end
  local converted = floor(units / per) * unit + ceil(units % per * (unit / common) / (per / common))
  return math.min(converted, 9007199254740991)
end

-- When a key with this state is told to end: not when the bucket is full but at the next multiple of the power of two
-- between an eighth and a quarter of the time to it. So a key in steady use ends later only now and then, and its end,
-- which costs as much to set as the value, is left alone meanwhile.
local function ending()
  local wait = ceil(used / rate)
  local _, exponent = frexp(wait)
  local moment = at + wait
  return moment + -moment % 2 ^ (exponent - 3)
end

local function load(key)
  local value = redis.pcall('GET', key)
  if not value then
    used, at, found, ends = absent, now, false, 0
    return true, absent > 0
  end
  if value.err then return false end
  local units, time = match(value, ours)
  if units then
    used, at, found = units + 0, time + 0, true
    ends = afterlife == 0 and ending() or 0
  else
    local per
    units, per, time = match(value, '^used=([0-9]+)/([0-9]+)%+[0-9]+ at=([0-9]+)$')
    if not units then return false end
    used, at, found, ends = convert(units + 0, per + 0), time + 0, true, 0
  end
  if at <= now then
    local left = used - (now - at) * rate
    used, at = left > 0 and left or 0, now
    return true
  end
  local reset
  at, time, reset = settle(at)
  if reset then ends = 0 end
  return true, reset
end

local function take(key, cost, consumes)
  if cost > capacity then return 'exceeds', 0 end
  local missing = used - (capacity - cost) * unit
  if missing > 0 then return 'refused', ceil(missing / rate) + at - now end
  if consumes then used = used + cost * unit end
  return 'allowed', 0
end

local function report()
  local left = full - used
  return left > 0 and floor(left / unit) or 0, used > 0 and ceil(used / rate) + at - now or 0
end

local function life()
  local _, reset = report()
  return found and ceil(reset / 1000) + afterlife or 0
end

local function save(key)
  found = true
  local last = ending()
  store(key, format(form, used, at), ceil((last - now) / 1000) + afterlife, used > 0 and last <= ends)
end

local function refund(key, amount, receipt)
  local back = amount * unit
  if receipt then
    -- By the state's time, which may be ahead of the clock: that far it has drained.
    back = math.min(back, 9007199254740991) - (at - receipt) * rate
    if receipt > at or back <= 0 then return 'void' end
  end
  if not found then return 'nothing' end
  local left = used - back
  used = left > 0 and left or 0
  save(key)
  return 'refunded', ceil(back / rate) + at - now
end
