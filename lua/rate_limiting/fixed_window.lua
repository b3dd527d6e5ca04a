-- Fixed window: a count per window, windows aligned to the epoch. Joined into check_one, check_all and refund.
-- KEYS    string `used=<n> from=<µs>`: n were admitted in the window that began then
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local fixed_window = {arity = 2}

function fixed_window.load(key, p)
  local window = tonumber(ARGV[p + 1])
  local state = {limit = tonumber(ARGV[p]), window = window, used = 0, from = now - now % window}
  local value = redis.pcall('GET', key)
  if not value then return state end
  local used, from
  if type(value) == 'string' then used, from = string.match(value, '^used=(%d+) from=(%d+)$') end
  if not used then return {broken = true} end
  local _, began, reset = settle(tonumber(from))
  if began >= state.from then
    state.unsaved = reset
    state.from = began - began % window
    state.used = tonumber(used)
    state.found = true
  end
  return state
end

function fixed_window.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  if state.used + cost <= state.limit then return 'allowed', 0 end
  return 'refused', state.from + state.window - now
end

function fixed_window.commit(state, cost) state.used = state.used + cost end

function fixed_window.report(state)
  return math.max(0, state.limit - state.used), state.used > 0 and state.from + state.window - now or 0
end

function fixed_window.life(state)
  return state.used > 0 and math.ceil((state.from + state.window - now) / 1000) or 0
end

function fixed_window.save(key, state)
  store(key, string.format('used=%d from=%d', state.used, state.from), math.max(1, fixed_window.life(state)))
end

function fixed_window.refund(key, state, amount, receipt)
  if receipt and receipt - receipt % state.window ~= state.from then return 'void' end
  if not state.found then return 'nothing' end
  state.used = math.max(0, state.used - amount)
  fixed_window.save(key, state)
  return 'refunded'
end
