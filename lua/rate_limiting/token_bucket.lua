-- Token bucket: tokens come back at a steady rate up to a capacity. Joined into check_one, check_all and refund.
-- Computed as what is used up and drains, in units of 1/`unit` token, so that every step is an exact integer
-- (the bucket as a meter: ITU-T I.371, annex A).
-- KEYS    string `used=<units>/<unit> at=<µs>`: units/unit tokens were used up at that time
-- ARGV    rate (units that come back per µs), unit (units in a token), capacity and initial (tokens)
-- RETURNS see check_one
-- EFFECTS see check_one; the key of a bucket that begins below its capacity is written by the first request, allowed or
--         not, since its tokens come back from then on
-- COST    O(1)

-- The functions are locals and the table is made once, at the end: a call makes it anew, and filling it bit by bit shows.

-- What was used under another limit, in our units; a fraction of one is rounded up. Both units divide the same window, so
-- that in lowest terms no product grows beyond it. So much that it is beyond exact integers stays at their end, which is
-- more than any capacity.
local function convert(used, per, unit)
  local common, rest = per, unit
  while rest > 0 do common, rest = rest, common % rest end
  local converted = math.floor(used / per) * unit + math.ceil(used % per * (unit / common) / (per / common))
  return math.min(converted, 9007199254740991)
end

-- A rule is done with one subject before it loads the next, so one table serves all subjects of a call.
local bucket, bucket_of

local function load(key, p)
  local state = bucket
  if bucket_of ~= p then
    local unit, capacity = tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])
    state = {
      rate = tonumber(ARGV[p]), unit = unit, capacity = capacity, full = capacity * unit,
      -- Absence means `initial`: below capacity, a key outlives fullness by a day.
      absent = (capacity - ARGV[p + 3]) * unit, afterlife = ARGV[p + 3] == ARGV[p + 2] and 0 or 86400000,
      at = now, used = 0, found = false, unsaved = false,
    }
    bucket, bucket_of = state, p
  end
  local value = redis.pcall('GET', key)
  if not value then
    state.at, state.used, state.found, state.unsaved = now, state.absent, false, state.afterlife > 0
    return state
  end
  local used, per, at
  if type(value) == 'string' then used, per, at = string.match(value, '^used=(%d-)/(%d-) at=(%d+)$') end
  if not used then return {broken = true} end
  used, at = tonumber(used), tonumber(at)
  if per ~= ARGV[p + 1] then used = convert(used, tonumber(per), state.unit) end
  state.found, state.unsaved = true, false
  if at <= now then
    used = used - (now - at) * state.rate
    state.at, state.used = now, used > 0 and used or 0
  else
    state.at, at, state.unsaved = settle(at)
    state.used = used
  end
  return state
end

local function decide(state, cost)
  if cost > state.capacity then return 'exceeds', 0 end
  local missing = state.used - (state.capacity - cost) * state.unit
  if missing <= 0 then return 'allowed', 0 end
  return 'refused', math.ceil(missing / state.rate) + state.at - now
end

local function commit(state, cost) state.used = state.used + cost * state.unit end

-- µs until the bucket is full.
local function wait(state)
  return state.used > 0 and math.ceil(state.used / state.rate) + state.at - now or 0
end

local function report(state)
  local used, left = state.used, state.full - state.used
  return left > 0 and math.floor(left / state.unit) or 0,
    used > 0 and math.ceil(used / state.rate) + state.at - now or 0
end

local function life(state)
  return state.found and math.ceil(wait(state) / 1000) + state.afterlife or 0
end

local function save(key, state)
  state.found = true
  local value = string.format('used=%d/%d at=%d', state.used, state.unit, state.at)
  store(key, value, math.max(1, life(state)))
end

local function refund(key, state, amount)
  if not state.found then return 'nothing' end
  state.used = math.max(0, state.used - amount * state.unit)
  save(key, state)
  return 'refunded'
end

local token_bucket = {
  arity = 4, load = load, decide = decide, commit = commit, report = report, life = life, save = save, refund = refund,
}
