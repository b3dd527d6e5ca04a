-- Concurrency: at most `limit` leases held at once; a lease that is not renewed ends by itself. Joined into check_one,
-- check_all and refund. A lease that would end later than its term from now (a clock that had jumped, or a longer term
-- before) ends after its term.
-- KEYS    sorted set, a member `<prefix>-<request>` for each lease (further ones of one request `…#2`, `…#3`), scored by
--         its end in µs
-- ARGV    limit, lease (µs), prefix of the lease ids of this call
-- RETURNS see check_one
-- EFFECTS see check_one; leases that have ended are dropped when new ones are written
-- COST    O(log n + cost + dropped)
local concurrency = {arity = 3}

local function text(number) return string.format('%d', number) end

function concurrency.load(key, p)
  local lease = tonumber(ARGV[p + 1])
  local state = {
    limit = tonumber(ARGV[p]), lease = lease, ends = now + lease, prefix = ARGV[p + 2], key = key, fresh = {},
    stored = 0, newest = 0,
  }
  state.after = '(' .. text(now)
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return {broken = true} end
  if not last[2] or tonumber(last[2]) <= now then return state end
  local _, _, reset = settle(last[2] - lease)
  state.newest = reset and state.ends or tonumber(last[2])
  state.unsaved = reset
  state.stored = redis.call('ZCOUNT', key, state.after, '+inf')
  return state
end

function concurrency.decide(state, cost)
  if cost > state.limit then return 'exceeds', 0 end
  local missing = state.stored + #state.fresh + cost - state.limit
  if missing <= 0 then return 'allowed', 0 end
  return 'refused', concurrency.freed(state, missing) - now
end

-- When the n-th place becomes free.
function concurrency.freed(state, n)
  if #state.fresh > 0 then
    -- Leases held at the time of a clock that is ahead of ours may end after those of this call.
    local before = redis.call('ZCOUNT', state.key, state.after, text(state.ends))
    if n > before then
      if n <= before + #state.fresh then return state.ends end
      n = n - #state.fresh
    end
  end
  local lease = redis.call('ZRANGEBYSCORE', state.key, state.after, '+inf', 'WITHSCORES', 'LIMIT', n - 1, 1)
  return math.min(lease[2], state.newest)
end

function concurrency.commit(state, cost, ordinal)
  local id = state.prefix .. '-' .. ordinal
  state.fresh[#state.fresh + 1] = id
  for i = 2, cost do state.fresh[#state.fresh + 1] = id .. '#' .. i end
  state.newest = math.max(state.newest, state.ends)
end

function concurrency.report(state)
  local used = state.stored + #state.fresh
  return math.max(0, state.limit - used), used > 0 and state.newest - now or 0
end

function concurrency.life(state)
  return state.stored + #state.fresh > 0 and math.ceil((state.newest - now) / 1000) or 0
end

function concurrency.save(key, state)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  local leases = state.unsaved and redis.call('ZRANGEBYSCORE', key, '(' .. text(state.ends), '+inf') or {}
  for i = 1, #state.fresh do leases[#leases + 1] = state.fresh[i] end
  local ends = text(state.ends)
  local command = {'ZADD', key}
  for i = 1, #leases do
    command[#command + 1] = ends
    command[#command + 1] = leases[i]
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
  expire(key, math.max(1, concurrency.life(state)))
end

function concurrency.refund() return 'unsupported' end
