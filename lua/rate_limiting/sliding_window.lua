-- Sliding window log: exactly `limit` in any stretch of `window`, every admission remembered. Joined into check_one,
-- check_all and refund. An entry made at t frees its place at t + window. The limit is at most 10,000, which bounds a key
-- at about 1 MB.
-- KEYS    sorted set, a member `<µs>-<n>` for each unit admitted, scored by its time in µs; n counts those of one µs
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one; entries that are over are dropped when new ones are written
-- COST    O(log n + cost + dropped), each entry dropped once
local sliding_window = {arity = 2}

local function text(number) return string.format('%d', number) end

function sliding_window.load(key, p)
  local state = {limit = tonumber(ARGV[p]), window = tonumber(ARGV[p + 1]), at = now, used = 0, fresh = 0, newest = 0}
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return {broken = true} end
  if not last[2] then return state end
  -- After a reset, entries later than now count as made now.
  state.at, state.newest, state.unsaved = settle(tonumber(last[2]))
  state.after = '(' .. text(state.at - state.window)
  state.used = redis.call('ZCOUNT', key, state.after, '+inf')
  state.key = key
  return state
end

function sliding_window.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  local missing = state.used + cost - state.limit
  if missing <= 0 then return 'allowed', 0 end
  -- Allowed when the missing-th oldest entry is over; those of this call are the newest.
  local freed = state.at
  if missing <= state.used - state.fresh then
    local entry = redis.call('ZRANGEBYSCORE', state.key, state.after, '+inf', 'WITHSCORES', 'LIMIT', missing - 1, 1)
    freed = math.min(entry[2], state.at)
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

-- Adds entries at `at`. They are numbered on from those of the same µs, in order of the numbers' digits, so that no two
-- are ever the same member, also when the highest were given back.
function sliding_window.add(key, at, count)
  local time = text(at)
  local first = redis.call('ZCOUNT', key, time, time)
  local command = {'ZADD', key}
  for i = first, first + count - 1 do
    command[#command + 1] = time
    command[#command + 1] = string.format('%s-%05d', time, i)
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
end

function sliding_window.save(key, state)
  local made = state.fresh
  if state.unsaved then
    made = made + redis.call('ZREMRANGEBYSCORE', key, '(' .. text(state.at), '+inf')
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(state.at - state.window))
  sliding_window.add(key, state.at, made)
  expire(key, math.max(1, sliding_window.life(state)))
end

function sliding_window.refund(key, state, amount, receipt)
  -- The entries that may go: those of the receipt's µs, or the newest ones. The highest numbers go first.
  local last, count = -1, state.used
  if receipt then
    if not state.after or receipt <= state.at - state.window then return 'void' end
    count = redis.call('ZCOUNT', key, text(receipt), text(receipt))
    if count == 0 then return 'void' end
    last = redis.call('ZCOUNT', key, '-inf', text(receipt)) - 1
  elseif count == 0 then
    return 'nothing'
  end
  count = math.min(amount, count)
  redis.call('ZREMRANGEBYRANK', key, last - count + 1, last)
  state.used = state.used - count
  return 'refunded'
end
