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
-- that in lowest terms no product grows beyond it.
local function convert(used, per, unit)
  local common, rest = per, unit
  while rest > 0 do common, rest = rest, common % rest end
  return math.floor(used / per) * unit + math.ceil(used % per * (unit / common) / (per / common))
end

local function load(key, p)
  local rate, unit, capacity = tonumber(ARGV[p]), tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])
  -- Absence means `initial`: below capacity, a key outlives fullness by a day.
  local afterlife = ARGV[p + 3] == ARGV[p + 2] and 0 or 86400000
  local value = redis.pcall('GET', key)
  if not value then
    return {
      rate = rate, unit = unit, capacity = capacity, used = (capacity - ARGV[p + 3]) * unit, at = now,
      afterlife = afterlife, found = false, unsaved = afterlife > 0,
    }
  end
  local used, per, at
  if type(value) == 'string' then used, per, at = string.match(value, '^used=(%d+)/(%d+) at=(%d+)$') end
  if not used then return {broken = true} end
  if per ~= ARGV[p + 1] then used = convert(tonumber(used), tonumber(per), unit) end
  local judged, own, reset = settle(tonumber(at))
  return {
    rate = rate, unit = unit, capacity = capacity, used = math.max(0, used - (judged - own) * rate), at = judged,
    afterlife = afterlife, found = true, unsaved = reset,
  }
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
  return math.max(0, math.floor((state.capacity * state.unit - state.used) / state.unit)), wait(state)
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
