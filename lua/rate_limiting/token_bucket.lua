-- Token bucket: tokens come back at a steady rate up to a capacity. Joined into check_one, check_all and refund.
-- Computed as what is used up and drains, in units of 1/`unit` token, so that every step is an exact integer
-- (the bucket as a meter: ITU-T I.371, annex A).
-- KEYS    string `used=<units>/<unit> at=<µs>`: units/unit tokens were used up at that time
-- ARGV    rate (units that come back per µs), unit (units in a token), capacity and initial (tokens)
-- RETURNS see check_one
-- EFFECTS see check_one; the key of a bucket that begins below its capacity is written by the first request, allowed or
--         not, since its tokens come back from then on
-- COST    O(1)
local token_bucket = {arity = 4}

function token_bucket.load(key, p)
  local rate, unit, capacity = tonumber(ARGV[p]), tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])
  local state = {rate = rate, unit = unit, capacity = capacity, at = now, afterlife = 0, found = true}
  if ARGV[p + 3] ~= ARGV[p + 2] then
    -- Absence means `initial`, so such a key outlives fullness by a day.
    state.afterlife = 86400000
  end
  local value = redis.pcall('GET', key)
  if not value then
    state.found, state.unsaved = false, state.afterlife > 0
    state.used = (capacity - ARGV[p + 3]) * unit
    return state
  end
  local used, per, at
  if type(value) == 'string' then used, per, at = string.match(value, '^used=(%d-)/(%d-) at=(%d+)$') end
  if not used then return {broken = true} end
  used, at = tonumber(used), tonumber(at)
  if per ~= ARGV[p + 1] then used = token_bucket.convert(used, tonumber(per), unit) end
  state.at, at, state.unsaved = settle(at)
  state.used = math.max(0, used - (state.at - at) * rate)
  return state
end

-- What was used under another limit, in our units; a fraction of one is rounded up. Both units divide the same window, so
-- that in lowest terms no product grows beyond it. So much that it is beyond exact integers stays at their end, which is
-- more than any capacity.
function token_bucket.convert(used, per, unit)
  local common, rest = per, unit
  while rest > 0 do common, rest = rest, common % rest end
  local converted = math.floor(used / per) * unit + math.ceil(used % per * (unit / common) / (per / common))
  return math.min(converted, 9007199254740991)
end

function token_bucket.decide(state, cost)
  if cost > state.capacity then return 'exceeds', 0 end
  local missing = state.used - (state.capacity - cost) * state.unit
  if missing <= 0 then return 'allowed', 0 end
  return 'refused', math.ceil(missing / state.rate) + state.at - now
end

function token_bucket.commit(state, cost) state.used = state.used + cost * state.unit end

-- µs until the bucket is full.
function token_bucket.wait(state)
  return state.used > 0 and math.ceil(state.used / state.rate) + state.at - now or 0
end

function token_bucket.report(state)
  return math.max(0, math.floor((state.capacity * state.unit - state.used) / state.unit)), token_bucket.wait(state)
end

function token_bucket.life(state)
  return state.found and math.ceil(token_bucket.wait(state) / 1000) + state.afterlife or 0
end

function token_bucket.save(key, state)
  state.found = true
  local value = string.format('used=%d/%d at=%d', state.used, state.unit, state.at)
  store(key, value, math.max(1, token_bucket.life(state)))
end

function token_bucket.refund(key, state, amount)
  if not state.found then return 'nothing' end
  state.used = math.max(0, state.used - amount * state.unit)
  token_bucket.save(key, state)
  return 'refunded'
end
