-- Concurrency: at most `limit` leases held at once; a lease that is not renewed ends by itself. Joined into check_one,
-- check_all and refund. A lease that would end later than its term from now (a clock that had jumped, or a longer term
-- before) ends after its term.
-- KEYS    sorted set, a member `<prefix>-<request>` for each lease (further ones of one request `…#2`, `…#3`), scored by
--         its end in µs
-- ARGV    limit, lease (µs), prefix of the lease ids of this call
-- RETURNS see check_one
-- EFFECTS see check_one; leases that have ended are dropped when new ones are written
-- COST    O(log n + cost + dropped)
local arity = 3
local limit, lease, prefix = ARGV[p] + 0, ARGV[p + 1] + 0, ARGV[p + 2]
local ends = now + lease

local function text(number) return format('%d', number) end

-- The least score that is held, as Redis takes it; how many leases are held and which this call takes; the last end, and
-- whether the clock was set.
local after = '(' .. text(now)
local stored, fresh, newest, reset

local function load(key)
  stored, fresh, newest, reset = 0, {}, 0, false
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return false end
  if not last[2] or last[2] + 0 <= now then return true end
  local _
  _, _, reset = settle(last[2] - lease)
  newest = reset and ends or last[2] + 0
  stored = redis.call('ZCOUNT', key, after, '+inf')
  return true, reset
end

-- When the n-th place becomes free.
local function freed(key, n)
  if #fresh > 0 then
    -- Leases held at the time of a clock that is ahead of ours may end after those of this call.
    local before = redis.call('ZCOUNT', key, after, text(ends))
    if n > before then
      if n <= before + #fresh then return ends end
      n = n - #fresh
    end
  end
  local held = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', n - 1, 1)
  return math.min(held[2], newest)
end

local function take(key, cost, consumes, ordinal)
  if cost > limit then return 'exceeds', 0 end
  local missing = stored + #fresh + cost - limit
  if missing > 0 then return 'refused', freed(key, missing) - now end
  if consumes then
    local id = prefix .. '-' .. ordinal
    fresh[#fresh + 1] = id
    for i = 2, cost do fresh[#fresh + 1] = id .. '#' .. i end
    if ends > newest then newest = ends end
  end
  return 'allowed', 0
end

local function report()
  local used = stored + #fresh
  return used < limit and limit - used or 0, used > 0 and newest - now or 0
end

local function life() return stored + #fresh > 0 and ceil((newest - now) / 1000) or 0 end

local function save(key)
  local leases = reset and redis.call('ZRANGEBYSCORE', key, '(' .. text(ends), '+inf') or {}
  for i = 1, #fresh do leases[#leases + 1] = fresh[i] end
  local score = text(ends)
  local command = {'ZADD', key}
  for i = 1, #leases do
    command[#command + 1] = score
    command[#command + 1] = leases[i]
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
  -- What grows came first, so that without memory nothing is done.
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  expire(key, life())
end

local function refund() return 'unsupported' end
