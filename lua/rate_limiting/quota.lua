-- Quota: a count per calendar period. Joined into check_one, check_all and refund. The periods come with the call; which
-- of them it is, is decided by the clock here, and a call none of whose periods fits is answered `stale` and does nothing.
-- KEYS    string `used=<n> from=<µs>`: n were admitted in the period that began then
-- ARGV    limit, then the starts of four periods in µs: previous, current, following, the one after
-- RETURNS see check_one
-- EFFECTS see check_one
-- COST    O(1)
local quota = {arity = 5}

-- Whether the clock lies in none of the three periods that the starts span. The last second counts as outside: a state
-- may be a second ahead, in a period whose end the call would not know.
function quota.stale(p) return now < tonumber(ARGV[p + 1]) or now + 1000000 >= tonumber(ARGV[p + 4]) end

-- The period of a moment: its start and its end.
function quota.period(p, at)
  for i = p + 3, p + 1, -1 do
    if at >= tonumber(ARGV[i]) then return tonumber(ARGV[i]), tonumber(ARGV[i + 1]) end
  end
end

function quota.load(key, p)
  local state = {limit = tonumber(ARGV[p]), used = 0}
  state.from, state.ends = quota.period(p, now)
  state.p = p
  local value = redis.pcall('GET', key)
  if not value then return state end
  local used, from
  if type(value) == 'string' then used, from = string.match(value, '^used=(%d+) from=(-?%d+)$') end
  if not used then return {broken = true} end
  local _, began, reset = settle(tonumber(from))
  if began >= state.from then
    -- A second ahead may be the next period already, which the call's starts still reach.
    local start, ends = quota.period(p, began)
    state.from, state.ends = start, ends
    state.used = tonumber(used)
    state.found, state.unsaved = true, reset
  end
  return state
end

function quota.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  if state.used + cost <= state.limit then return 'allowed', 0 end
  return 'refused', state.ends - now
end

function quota.commit(state, cost) state.used = state.used + cost end

function quota.report(state) return math.max(0, state.limit - state.used), state.used > 0 and state.ends - now or 0 end

function quota.life(state) return state.used > 0 and math.ceil((state.ends - now) / 1000) or 0 end

function quota.save(key, state)
  store(key, string.format('used=%d from=%d', state.used, state.from), math.max(1, quota.life(state)))
end

function quota.refund(key, state, amount, receipt)
  if receipt and (receipt < state.from or receipt >= state.ends) then return 'void' end
  if not state.found then return 'nothing' end
  state.used = math.max(0, state.used - amount)
  quota.save(key, state)
  return 'refunded'
end
