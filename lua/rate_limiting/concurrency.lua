-- Concurrency: at most `limit` leases held at once; a lease that is not renewed ends by itself. Joined into check_one,
-- check_all and refund.
-- KEYS    sorted set, a member `<prefix>-<request>` for each lease (further ones of one request `…#2`, `…#3`), scored by
--         its end in µs
-- ARGV    limit, lease (µs), prefix of the lease ids of this call
-- RETURNS see check_one
-- EFFECTS see check_one; leases that have ended are dropped when new ones are written
-- COST    O(log n + cost + dropped)
local concurrency = {arity = 3}

function concurrency.load(key, p)
  local state = {
    limit = tonumber(ARGV[p]), lease = tonumber(ARGV[p + 1]), prefix = ARGV[p + 2], key = key, fresh = {}, stored = 0,
  }
  state.after = string.format('(%d', now)
  local stored = redis.pcall('ZCOUNT', key, state.after, '+inf')
  if type(stored) == 'table' then return {broken = true} end
  state.stored = stored
  return state
end

function concurrency.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  local missing = state.stored + #state.fresh + cost - state.limit
  if missing <= 0 then return 'allowed', 0 end
  if missing > state.stored then return 'refused', state.lease end
  local freed = redis.call('ZRANGEBYSCORE', state.key, state.after, '+inf', 'WITHSCORES', 'LIMIT', missing - 1, 1)[2]
  return 'refused', freed - now
end

function concurrency.commit(state, cost, ordinal)
  local id = state.prefix .. '-' .. ordinal
  state.fresh[#state.fresh + 1] = id
  for i = 2, cost do state.fresh[#state.fresh + 1] = id .. '#' .. i end
end

function concurrency.report(state)
  local used = state.stored + #state.fresh
  return math.max(0, state.limit - used), used > 0 and concurrency.longest(state) - now or 0
end

-- When the last lease ends.
function concurrency.longest(state)
  local last = state.stored > 0 and tonumber(redis.call('ZRANGE', state.key, -1, -1, 'WITHSCORES')[2]) or 0
  return #state.fresh > 0 and math.max(last, now + state.lease) or last
end

function concurrency.life(state)
  return state.stored + #state.fresh > 0 and math.ceil((concurrency.longest(state) - now) / 1000) or 0
end

function concurrency.save(key, state)
  local life = math.max(1, concurrency.life(state))
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%d', now))
  local ends = string.format('%d', now + state.lease)
  local command = {'ZADD', key}
  for _, id in ipairs(state.fresh) do
    command[#command + 1] = ends
    command[#command + 1] = id
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
  expire(key, life)
end

function concurrency.refund() return 'unsupported' end
