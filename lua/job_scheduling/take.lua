-- Hands jobs to a worker, and takes them back from workers that are gone. Joined behind ends.lua.
local MOST_SCANNED = 256
-- How many smaller jobs may start before one that waits for room in a pool.
local MOST_OVERTAKING = 32

-- Gives a running job back: it keeps its place in the queue. `uncounted` is an execution that says nothing of the job.
local function give_back(number, type, state, word)
  local attempt, started, score = match(state, 'attempt=(%d+) started=(%d+) score=(%-?%d+)')
  local lost = tonumber(match(state, 'lost=(%d+)') or 0)
  local special = string.find(state, ' special=', 1, true)
  local line = format('%s ended=%s', match(state, '^%a+ (.*)$'), stamp)
  if special then free(number) end
  remember(number, word .. ' ' .. line)
  if word == 'lost' then
    lost = lost + 1
    count('lost')
    if lost >= MOST_LOST then
      call('HSET', key(number), 'error', 'its worker was lost ' .. lost .. ' times')
      return conclude(number, 'dead', line .. ' reason=poison', true)
    end
  end
  call('HSET', key(number), 'state', format('pending attempt=%d lost=%d', attempt - 1, lost))
  ready(number, type, tonumber(score))
  note(word, number)
end

-- Ends executions whose lease is over, at most 50 of a type in a call.
local function expire(type)
  if now < grace then return end
  local set = base .. 'leases:' .. type
  local over = call('ZRANGEBYSCORE', set, '-inf', stamp, 'LIMIT', 0, 50)
  for _, number in ipairs(over) do
    call('ZREM', set, number)
    local state = call('HGET', key(number), 'state') or ''
    local special = string.find(state, ' special=', 1, true)
    if match(state, '^running') then
      local worker, until_ms = match(state, 'worker=(%S+)'), tonumber(match(state, 'until=(%d+)'))
      call('SREM', base .. 'held:' .. worker, number)
      local line = format('%s ended=%s', match(state, '^%a+ (.*)$'), stamp)
      if match(state, ' cancelled=') then
        if special then free(number) end
        conclude(number, 'cancelled', line, special)
      elseif until_ms and now >= until_ms then
        if special then free(number) end
        call('HSET', key(number), 'error', 'it took longer than its timeout')
        conclude(number, 'timeout', line, special)
      else
        give_back(number, type, state, 'lost')
      end
    end
  end
end

-- How many of a type may start now, by its settings.
local function room(type, settings, most)
  local concurrency = tonumber(match(settings, 'concurrency=(%d+)'))
  if concurrency then most = math.min(most, concurrency - call('ZCARD', base .. 'leases:' .. type)) end
  local rate, per = match(settings, 'rate=(%d+)/(%d+)')
  local resume
  if rate then
    local window = now - now % per
    local counts = call('HMGET', base .. 'rates', type .. '.from', type .. '.count')
    local used = counts[1] == format('%d', window) and tonumber(counts[2]) or 0
    if rate - used < most then
      most = rate - used
      resume = window + per
    end
  end
  if most <= 0 and concurrency then call('SADD', base .. 'blocked', type) end
  return most, resume, rate and now - now % per
end

-- Whether a job's demands fit into the pools now. Who does not fit gathers: after some have overtaken it, nobody else
-- takes from the pools it waits for.
local used
local function fits(number, needs)
  used = used or {}
  local gathering = call('HMGET', base .. 'gathering', 'job', 'overtaken', 'pools')
  local all = true
  local pools = {}
  for pool, amount in string.gmatch(needs, '([^ =]+)=(%d+)') do
    if not used[pool] then
      used[pool] = {
        tonumber(call('HGET', base .. 'used', pool) or 0), tonumber(call('HGET', base .. 'pools', pool) or 0),
      }
    end
    if used[pool][1] + amount > used[pool][2] then all = false end
    if gathering[1] and gathering[1] ~= number and tonumber(gathering[2]) >= MOST_OVERTAKING
      and string.find(gathering[3], ' ' .. pool .. ' ', 1, true) then
      return false
    end
    pools[#pools + 1] = pool
  end
  if not all then
    if not gathering[1] then
      call('HSET', base .. 'gathering', 'job', number, 'overtaken', 0, 'pools', ' ' .. table.concat(pools, ' ') .. ' ')
    end
    return false
  end
  if gathering[1] == number then
    call('DEL', base .. 'gathering')
  elseif gathering[1] then
    call('HINCRBY', base .. 'gathering', 'overtaken', 1)
  end
  for pool, amount in string.gmatch(needs, '([^ =]+)=(%d+)') do
    used[pool][1] = used[pool][1] + amount
    call('HINCRBY', base .. 'used', pool, amount)
  end
  return true
end

-- What a job with demands of its own meets when its turn comes: 'take', 'pass' (it stays where it is) or 'gone' (it has
-- left the queue), and what its worker is told.
local function admit(number, type, state)
  local job = call('HMGET', key(number), 'timeout', 'trace', 'needs', 'conflict', 'preemptible')
  local strategy, _, name
  if job[4] then
    strategy, _, name = match(job[4], '^(%S+) (%d+) (.+)$')
    local holder = call('HGET', base .. 'holders', name)
    if holder and holder ~= number then
      call('ZREM', base .. 'ready:' .. type, number)
      local moved = tonumber(match(state, 'moved=(%d+)') or 0)
      if strategy == 'cancel' or (strategy == 'reschedule' and moved >= 3) then
        conclude(number, 'cancelled', 'ended=' .. stamp .. ' reason=conflict with ' .. holder, true)
      else
        call('HSET', key(number), 'state', format('waiting attempt=%d lost=%d moved=%d',
          tonumber(match(state, 'attempt=(%d+)') or 0), tonumber(match(state, 'lost=(%d+)') or 0), moved + 1))
        call('ZADD', base .. 'waiting', stamp, number)
        call('ZADD', base .. 'parked:' .. name, number, number)
      end
      return 'gone'
    end
  end
  if job[3] and not fits(number, job[3]) then
    call('SADD', base .. 'blocked', type)
    return 'pass'
  end
  if name then call('HSET', base .. 'holders', name, number) end
  if job[5] then call('ZADD', base .. 'preemptible', stamp, number) end
  return 'take', job[1], job[2]
end

-- The waiting jobs of one type, first the one that is to start first; read page by page.
local function lane(type, settings, limit, window)
  local heads = call('ZRANGE', base .. 'ready:' .. type, 0, limit - 1, 'WITHSCORES')
  if #heads == 0 then return nil end
  return {
    type = type, promise = tonumber(match(settings, 'queueMs=(%d+)')), limit = limit, window = window, heads = heads, at = 1, read = #heads / 2,
    number = heads[1], score = tonumber(heads[2]), taken = {}, leased = {},
  }
end

-- Goes to the lane's next job; false at its end.
local function advance(lane)
  if #lane.taken >= lane.limit then return false end
  lane.at = lane.at + 2
  if lane.at > #lane.heads then
    lane.heads = call('ZRANGE', base .. 'ready:' .. lane.type, lane.read, lane.read + 31, 'WITHSCORES')
    if #lane.heads == 0 then return false end
    lane.read = lane.read + #lane.heads / 2
    lane.at = 1
  end
  lane.number = lane.heads[lane.at]
  lane.score = tonumber(lane.heads[lane.at + 1])
  return true
end

-- The lane whose first job is to start first.
local function earliest(lanes)
  local best = 1
  for i = 2, #lanes do
    local a, b = lanes[i], lanes[best]
    if a.score < b.score or (a.score == b.score and a.number < b.number) then best = i end
  end
  return best
end

-- Leases the lane's first job: its state, and its place among the leases. Returns the attempt.
local plain_expiry = format('%d', now + LEASE_MS)
local function lease(lane, by, state, token, timeout, special)
  local number = lane.number
  local attempt, expiry = 1, plain_expiry
  -- What the end has to look at is said here, so that it reads one field.
  local more = special and ' special=1' or ''
  if state then
    attempt = (match(state, 'attempt=(%d+)') or 0) + 1
    local lost = match(state, 'lost=(%d+)')
    if lost and lost ~= '0' then more = more .. ' lost=' .. lost end
  end
  if timeout then
    more = format(' until=%d', now + timeout) .. more
    expiry = format('%d', math.min(now + LEASE_MS, now + timeout + 1000))
  end
  call('HSET', key(number), 'state', 'running token=' .. token .. by .. attempt .. ' started=' .. stamp .. ' score='
    .. lane.heads[lane.at + 1] .. more)
  local taken, leased = lane.taken, lane.leased
  taken[#taken + 1] = number
  leased[#leased + 1] = expiry
  leased[#leased + 1] = number
  note('started', number)
  if lane.promise and now > lane.score then
    violated(lane.type, number, 'queue', now - lane.score + lane.promise, lane.promise)
  end
  return attempt
end

-- Writes what a lane has given: its jobs leave the queue, and somebody is woken for what is left.
local function close(lane, worker, may_have_more)
  local count = #lane.taken
  if count > 0 then
    local ready_set = base .. 'ready:' .. lane.type
    call('ZREM', ready_set, unpack(lane.taken))
    call('ZADD', base .. 'leases:' .. lane.type, unpack(lane.leased))
    call('SADD', base .. 'held:' .. worker, unpack(lane.taken))
    if lane.window then
      local name = lane.type .. '.from'
      local window = format('%d', lane.window)
      if call('HGET', base .. 'rates', name) ~= window then
        call('HSET', base .. 'rates', name, window, lane.type .. '.count', count)
      else
        call('HINCRBY', base .. 'rates', lane.type .. '.count', count)
      end
    end
  end
  if may_have_more and call('EXISTS', base .. 'ready:' .. lane.type) == 1 then wake(lane.type) end
end

-- Takes up to `most` jobs of the types for a worker, those first that are to start first. Returns number, token, attempt,
-- type, config, timeout (ms or empty) and trace of each, in one list, and when a rate lets more start (ms or nil).
local function take(worker, most, types)
  local given = {}
  if call('HGET', base .. 'settings', 'paused') then return given end
  promote(200)
  local settings = call('HMGET', base .. 'types', unpack(types))
  local all, open, resume = {}, {}, nil
  for i, type in ipairs(types) do
    expire(type)
    local limit, later, window = most, nil, nil
    if settings[i] and settings[i] ~= '' then limit, later, window = room(type, settings[i], most) end
    if later and (not resume or later < resume) then resume = later end
    local fresh = limit > 0 and lane(type, settings[i] or '', limit, window)
    if fresh then
      all[#all + 1] = fresh
      open[#open + 1] = fresh
    end
  end
  local token = math.max(tonumber(call('GET', base .. 'tokens') or 0), now * 1000)
  local by = ' worker=' .. worker .. ' attempt='
  local total, scanned, at = 0, 0, 0
  while total < most and #open > 0 and scanned < most + MOST_SCANNED do
    local place = #open == 1 and 1 or earliest(open)
    local lane = open[place]
    local number = lane.number
    local job = call('HMGET', key(number), 'config', 'state', 'special')
    local verdict, timeout, trace = 'take', nil, nil
    if job[3] then verdict, timeout, trace = admit(number, lane.type, job[2] or '') end
    if verdict == 'take' then
      token = token + 1
      total = total + 1
      local text = format('%d', token)
      given[at + 1] = number
      given[at + 2] = text
      given[at + 3] = lease(lane, by, job[2], text, tonumber(timeout or nil), job[3])
      given[at + 4] = lane.type
      given[at + 5] = job[1] or call('GET', base .. 'config:' .. number) or '{}'
      given[at + 6] = timeout or ''
      given[at + 7] = trace or ''
      at = at + 7
    elseif verdict == 'gone' then
      lane.read = lane.read - 1
    end
    scanned = scanned + 1
    if not advance(lane) then table.remove(open, place) end
  end
  for _, lane in ipairs(all) do close(lane, worker, total == most or scanned >= most + MOST_SCANNED) end
  if total > 0 then call('SET', base .. 'tokens', format('%d', token)) end
  return given, resume
end
