-- Sliding window counter: the previous window's count, weighted by how much of it the sliding window still covers, and
-- the current one's. Joined into check_one, check_all and refund. Admits iff
-- previous·(window − elapsed) + (current + cost)·window ≤ limit·window, in exact integers.
-- (Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017.)
-- KEYS    string `previous=<n> current=<n> at=<µs>`: the counts at that time; the window it lies in is the current one
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local sliding_window_counter = {arity = 2}

function sliding_window_counter.load(key, p)
  local window = tonumber(ARGV[p + 1])
  local state = {
    limit = tonumber(ARGV[p]), window = window, previous = 0, current = 0, at = now, from = now - now % window,
  }
  local value = redis.pcall('GET', key)
  if not value then return state end
  local previous, current, at
  if type(value) == 'string' then
    previous, current, at = string.match(value, '^previous=(%d+) current=(%d+) at=(%d+)$')
  end
  if not previous then return {broken = true} end
  previous, current, at = tonumber(previous), tonumber(current), tonumber(at)
  local elapsed = at % window
  local began = at - elapsed
  state.at, at, state.unsaved = settle(at)
  state.from = state.at - state.at % window
  state.found = true
  if state.unsaved then
    -- From a clock that had jumped: what counted at that time counts as made now.
    state.current = current + math.ceil(previous * (window - elapsed) / window)
  elseif began == state.from then
    state.previous, state.current = previous, current
  elseif began + window == state.from then
    state.previous = current
  else
    state.found = false
  end
  return state
end

function sliding_window_counter.decide(state, cost)
  local limit, window = state.limit, state.window
  if cost > limit then return 'exceeds', 0 end
  local elapsed = state.at - state.from
  local room = limit - state.current - cost
  if room >= 0 then
    if state.previous * (window - elapsed) <= room * window then return 'allowed', 0 end
    -- Within this window, once little enough of the previous one is covered.
    return 'refused', state.from + window - math.floor(room * window / state.previous) - now
  end
  -- In the next window, where the current count is the previous one.
  local covered = math.floor((limit - cost) * window / state.current)
  return 'refused', state.from + window + math.max(0, window - covered) - now
end

function sliding_window_counter.commit(state, cost) state.current = state.current + cost end

function sliding_window_counter.report(state)
  local elapsed = state.at - state.from
  local used = state.previous * (state.window - elapsed) + state.current * state.window
  return math.max(0, math.floor((state.limit * state.window - used) / state.window)),
    sliding_window_counter.ends(state)
end

-- µs until both counts say nothing.
function sliding_window_counter.ends(state)
  if state.current > 0 then return state.from + 2 * state.window - now end
  return state.previous > 0 and state.from + state.window - now or 0
end

function sliding_window_counter.life(state) return math.ceil(sliding_window_counter.ends(state) / 1000) end

function sliding_window_counter.save(key, state)
  local value = string.format('previous=%d current=%d at=%d', state.previous, state.current, state.at)
  store(key, value, math.max(1, sliding_window_counter.life(state)))
end

function sliding_window_counter.refund(key, state, amount, receipt)
  local counted = 'current'
  if receipt then
    local from = receipt - receipt % state.window
    if from + state.window == state.from then
      counted = 'previous'
    elseif from ~= state.from then
      return 'void'
    end
  end
  if not state.found then return 'nothing' end
  state[counted] = math.max(0, state[counted] - amount)
  sliding_window_counter.save(key, state)
  return 'refunded'
end
