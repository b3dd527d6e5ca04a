-- Sliding window log: exactly `limit` in any stretch of `window`, every admission remembered. Joined into check_one,
-- check_all and refund. An entry made at t frees its place at t + window. The limit is at most 10,000, which bounds a key
-- at about 1 MB.
-- KEYS    sorted set, a member `<µs>-<n>` for each unit admitted, scored by its time in µs
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one; entries that are over are dropped when new ones are written
-- COST    O(log n + cost + dropped), each entry dropped once
local sliding_window = {arity = 2}

function sliding_window.load(key, p)
  local state = {limit = tonumber(ARGV[p]), window = tonumber(ARGV[p + 1]), at = now, used = 0, fresh = 0, newest = 0}
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return {broken = true} end
  if not last[2] then return state end
  state.newest = tonumber(last[2])
  local at, newest = settle(state.newest)
  state.at = at
  if newest < state.newest then
    -- Entries from a clock that had jumped count as made now.
    sliding_window.rewrite(key, now)
    state.newest = now
  end
  state.after = string.format('(%d', state.at - state.window)
  state.used = redis.call('ZCOUNT', key, state.after, '+inf')
  state.key = key
  return state
end

-- Gives all entries later than `at` that time.
function sliding_window.rewrite(key, at)
  local later = redis.call('ZCOUNT', key, string.format('(%d', at), '+inf')
  redis.call('ZREMRANGEBYSCORE', key, string.format('(%d', at), '+inf')
  sliding_window.add(key, at, later)
end

function sliding_window.add(key, at, count)
  local time = string.format('%d', at)
  local first = redis.call('ZCOUNT', key, time, time)
  local command = {'ZADD', key}
  for i = first, first + count - 1 do
    command[#command + 1] = time
    command[#command + 1] = time .. '-' .. i
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
end

function sliding_window.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  local missing = state.used + cost - state.limit
  if missing <= 0 then return 'allowed', 0 end
  -- Allowed when the missing-th oldest entry is over; those of this call are the newest.
  local freed = state.at
  if missing <= state.used - state.fresh then
    freed = redis.call('ZRANGEBYSCORE', state.key, state.after, '+inf', 'WITHSCORES', 'LIMIT', missing - 1, 1)[2]
  end
  return 'refused', freed + state.window - now
end

function sliding_window.commit(state, cost)
  state.used = state.used + cost
  state.fresh = state.fresh + cost
  state.newest = state.at
end

function sliding_window.report(state)
  return math.max(0, state.limit - state.used), state.used > 0 and state.newest + state.window - now or 0
end

function sliding_window.life(state)
  return state.used > 0 and math.ceil((state.newest + state.window - now) / 1000) or 0
end

function sliding_window.save(key, state)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%d', state.at - state.window))
  sliding_window.add(key, state.at, state.fresh)
  expire(key, math.max(1, sliding_window.life(state)))
end

function sliding_window.refund(key, state, amount, receipt)
  if receipt then
    local time = string.format('%d', receipt)
    local made = redis.call('ZRANGEBYSCORE', key, time, time, 'LIMIT', 0, math.min(amount, 4000))
    if #made == 0 then return 'void' end
    redis.call('ZREM', key, unpack(made))
    state.used = state.used - #made
    return 'refunded'
  end
  if state.used == 0 then return 'nothing' end
  local given_back = math.min(amount, state.used)
  redis.call('ZREMRANGEBYRANK', key, -given_back, -1)
  state.used = state.used - given_back
  return 'refunded'
end
