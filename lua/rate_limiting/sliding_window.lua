-- Sliding window log: exactly `limit` in any stretch of `window`, every admission remembered. Joined into check_one,
-- check_all and refund. An entry made at t frees its place at t + window. The limit is at most 10,000, which bounds a key
-- at about 1 MB.
-- KEYS    sorted set, a member `<µs>-<n>` for each unit admitted, scored by its time in µs; n counts those of one µs
-- ARGV    limit, window (µs)
-- RETURNS see check_one
-- EFFECTS see check_one; entries that are over are dropped when new ones are written
-- COST    O(log n + cost + dropped), each entry dropped once
local arity = 2
local limit, window = ARGV[p] + 0, ARGV[p + 1] + 0
-- What is used at which time, how much of it by this call, the newest entry's time, whether the clock was set, and the
-- least score that counts, as Redis takes it (nil when there is no key).
local used, at, fresh, newest, reset, after

local function text(number) return format('%d', number) end

local function load(key)
  used, at, fresh, newest, reset, after = 0, now, 0, 0, false, nil
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return false end
  if not last[2] then return true end
  -- After a reset, entries later than now count as made now.
  at, newest, reset = settle(last[2] + 0)
  after = '(' .. text(at - window)
  used = redis.call('ZCOUNT', key, after, '+inf')
  return true, reset
end

-- When the `missing`-th oldest entry is over; those of this call are the newest.
local function freed(key, missing)
  if missing > used - fresh then return at + window end
  local entry = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', missing - 1, 1)
  return math.min(entry[2], at) + window
end

local function take(key, cost, consumes)
  if cost > limit then return 'exceeds', 0 end
  if used + cost > limit then return 'refused', freed(key, used + cost - limit) - now end
  if consumes then used, fresh, newest = used + cost, fresh + cost, at end
  return 'allowed', 0
end

local function report() return used < limit and limit - used or 0, used > 0 and newest + window - now or 0 end

local function life() return used > 0 and ceil((newest + window - now) / 1000) or 0 end

-- Adds entries at `at`. They are numbered on from those of the same µs, in order of the numbers' digits, so that no two
-- are ever the same member, also when the highest were given back.
local function add(key, count)
  local time = text(at)
  local first = redis.call('ZCOUNT', key, time, time)
  local command = {'ZADD', key}
  for i = first, first + count - 1 do
    command[#command + 1] = time
    command[#command + 1] = format('%s-%05d', time, i)
    if #command > 4000 then
      redis.call(unpack(command))
      command = {'ZADD', key}
    end
  end
  if #command > 2 then redis.call(unpack(command)) end
end

local function save(key)
  local made = fresh
  if reset then made = made + redis.call('ZREMRANGEBYSCORE', key, '(' .. text(at), '+inf') end
  -- What grows comes first, so that without memory nothing is done.
  add(key, made)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(at - window))
  expire(key, life())
end

local function refund(key, amount, receipt)
  -- The entries that may go: those of the receipt's µs, or the newest ones. The highest numbers go first.
  local last, count = -1, used
  if receipt then
    if not after or receipt <= at - window then return 'void' end
    count = redis.call('ZCOUNT', key, text(receipt), text(receipt))
    if count == 0 then return 'void' end
    last = -1 - redis.call('ZCOUNT', key, '(' .. text(receipt), '+inf')
  elseif count == 0 then
    return 'nothing'
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(at - window))
  count = math.min(amount, count)
  redis.call('ZREMRANGEBYRANK', key, last - count + 1, last)
  used = used - count
  return 'refunded', (receipt or at) + window - now
end
