-- Token bucket: tokens come back at a steady rate up to a capacity. Joined into check_one, check_all and refund.
-- Computed as what is used up and drains, in units of 1/`unit` token, so that every step is an exact integer
-- (the bucket as a meter: ITU-T I.371, annex A).
-- KEYS    string `used=<units>/<unit> at=<µs>`: units/unit tokens were used up at that time
-- ARGV    rate (units that come back per µs), unit (units in a token), capacity and initial (tokens)
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local token_bucket = {arity = 4}

function token_bucket.load(key, p)
  local unit, capacity = tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])
  local state = {rate = tonumber(ARGV[p]), unit = unit, capacity = capacity, full = capacity * unit, at = now}
  -- Absence means `initial`: below capacity, a key outlives fullness by a day.
  state.afterlife = ARGV[p + 3] == ARGV[p + 2] and 0 or 86400000
  local value = redis.pcall('GET', key)
  if not value then
    state.used = (capacity - ARGV[p + 3]) * unit
    return state
  end
  local used, per, at
  if type(value) == 'string' then used, per, at = string.match(value, '^used=(%d+)/(%d+) at=(%d+)$') end
  if not used then return {broken = true} end
  used, per, at = tonumber(used), tonumber(per), tonumber(at)
  if per ~= unit then
    -- Written under another limit: the same tokens in our units, a fraction of one rounded up.
    used = math.floor(used / per) * unit + math.ceil(used % per * unit / per)
  end
  state.at, at = settle(at)
  state.used = math.max(0, used - (state.at - at) * state.rate)
  state.found = true
  return state
end

function token_bucket.decide(state, cost)
  if cost > state.capacity then return 'exceeds', 0 end
  local missing = state.used + cost * state.unit - state.full
  if missing <= 0 then return 'allowed', 0 end
  return 'refused', math.ceil(missing / state.rate) + state.at - now
end

function token_bucket.commit(state, cost) state.used = state.used + cost * state.unit end

function token_bucket.report(state)
  return math.max(0, math.floor((state.full - state.used) / state.unit)),
    math.ceil(state.used / state.rate) + state.at - now
end

function token_bucket.life(state)
  return math.ceil((math.ceil(state.used / state.rate) + state.at - now) / 1000) + state.afterlife
end

function token_bucket.save(key, state)
  local value = string.format('used=%d/%d at=%d', state.used, state.unit, state.at)
  store(key, value, math.max(1, token_bucket.life(state)))
end

function token_bucket.refund(key, state, amount)
  if not state.found then return 'nothing' end
  state.used = math.max(0, state.used - math.min(amount, state.capacity) * state.unit)
  token_bucket.save(key, state)
  return 'refunded'
end
