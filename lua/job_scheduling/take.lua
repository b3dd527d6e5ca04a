-- Hands jobs to a worker, and takes them back from workers that are gone. Joined behind ends.lua.
--
-- Uses what queue.lua, ties.lua and ends.lua give. Gives `take`, `give_back`, `fail` and `expire`.
local MOST_SCANNED = 256
local MOST_LOST = 3
-- Losses that lie further apart than this say nothing of the job.
local LOST_WITHIN_MS = 3600000
local APART_WANTED_MS = 60000
-- How much longer than its timeout a run may take to tell of its end.
local OVERRUN_MS = 1000

-- Gives a running job back: it keeps its place in the queue. `word` says how; a lost one says nothing of the job, unless its
-- worker dies with it again and again.
local function give_back(number, type, state, word)
  local attempt, started, score = match(state, 'attempt=(%d+) started=(%d+) score=(%-?%d+)')
  local lost, lost_at = tonumber(match(state, ' lost=(%d+)') or 0), tonumber(match(state, ' lostAt=(%d+)') or 0)
  local line = format('%s ended=%s', match(state, '^%a+ (.*)$'), stamp)
  if string.find(state, ' special=', 1, true) then
    with_ties()
    rare.free(number, rare.ties(number))
  end
  remember(number, word .. ' ' .. line)
  if word == 'lost' then
    count('lost')
    lost = now - lost_at <= LOST_WITHIN_MS and lost + 1 or 1
    lost_at = now
    if lost >= MOST_LOST then
      call('HSET', key(number), 'error', 'its worker was lost ' .. lost .. ' times')
      return conclude(number, 'dead', line .. ' reason=poison', true)
    end
  end
  local kept = lost > 0 and format(' lost=%d lostAt=%d', lost, lost_at) or ''
  call('HSET', key(number), 'state', format('pending attempt=%d%s', attempt - 1, kept))
  ready(number, type, tonumber(score))
  note(word, number)
end

-- Ends executions whose lease is over, at most 50 of a type in a call. Their worker says nothing any more, whatever the
-- timeout of the job: it is lost, not failed.
local function expire(type)
  if now < grace then return end
  local set = base .. 'leases:' .. type
  local over = call('ZRANGEBYSCORE', set, '-inf', stamp, 'LIMIT', 0, 50)
  for _, number in ipairs(over) do
    call('ZREM', set, number)
    local state = call('HGET', key(number), 'state') or ''
    if match(state, '^running') then
      call('SREM', base .. 'held:' .. match(state, 'worker=(%S+)'), number)
      if match(state, ' cancelled=') then
        local special = string.find(state, ' special=', 1, true)
        if special then
          with_ties()
          rare.free(number, rare.ties(number))
        end
        conclude(number, 'cancelled', format('%s ended=%s', match(state, '^%a+ (.*)$'), stamp), special)
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

-- Jobs whose turn came and that went elsewhere: those behind them have their turn when the lanes are closed.
local passed = {}

-- The same.
local function with_rules()
  if rare.admit then return end
  with_ends()
  local ties, wait, units, refill = rare.ties, rare.wait, rare.units, rare.refill
  local pass_on, conflict_of = rare.pass_on, rare.conflict_of
  -- How long a job that was lost waits for a worker that has nothing else, before one takes nothing else for its sake.
  local APART_AFTER_MS = 2000
  -- How long to wait before the next attempt: doubling, or fixed; in the upper half of that, so that a crowd parts.
  local function delay(backoff, attempt, jitter)
    local kind, base_ms, max_ms = match(backoff or 'exponential 1000 30000', '^(%a+) (%d+) (%d+)$')
    local ms = tonumber(base_ms)
    if kind == 'exponential' then ms = math.min(ms * 2 ^ math.min(attempt, 40), tonumber(max_ms)) end
    return math.floor(ms / 2 + ms / 2 * jitter / 1000)
  end

  -- Ends an attempt that failed: `failed`, `permanent` or `timeout`. It is tried again while it may be.
  local function fail(number, line, state, outcome, text, special, retry_after, jitter)
    local job = call('HMGET', key(number), 'retries', 'backoff', 'retryTimeouts')
    local attempt = tonumber(match(state, 'attempt=(%d+)'))
    local may_retry = outcome == 'failed' or (outcome == 'timeout' and job[3])
    local word = outcome == 'timeout' and 'timeout' or 'failed'
    if may_retry and attempt <= tonumber(job[1] or 3) then
      local wait_ms = math.max(delay(job[2], attempt, tonumber(jitter)), tonumber(retry_after) or 0)
      remember(number, word .. ' ' .. line .. ' error=' .. text)
      call('HSET', key(number), 'state', 'retrying ' .. line)
      call('ZADD', base .. 'delayed', format('%d', now + wait_ms), number)
      note('retrying', number)
      count('retried')
    else
      call('HSET', key(number), 'error', text)
      conclude(number, word, line, special)
    end
  end

  -- Whether a job's demands fit into the pools now; else the pool that has too little. Who does not fit gathers: after some
  -- have overtaken it, nobody else takes from the pools it waits for.
  local function fits(number, needs)
    local gathering = call('HMGET', base .. 'gathering', 'job', 'overtaken', 'pools')
    local lacking
    local pools = ' '
    for pool, amount in units(needs) do
      local used = tonumber(call('HGET', base .. 'used', pool) or 0)
      local is_kept = gathering[1] and gathering[1] ~= number and tonumber(gathering[2]) >= MOST_OVERTAKING
        and string.find(gathering[3], ' ' .. pool .. ' ', 1, true)
      if is_kept or used + amount > tonumber(call('HGET', base .. 'pools', pool) or 0) then lacking = lacking or pool end
      pools = pools .. pool .. ' '
    end
    if lacking then
      if not gathering[1] then call('HSET', base .. 'gathering', 'job', number, 'overtaken', 0, 'pools', pools) end
      return lacking
    end
    if gathering[1] == number then
      -- Those who were kept from passing it have their turn.
      call('DEL', base .. 'gathering')
      passed[#passed + 1] = { number = number, needs = needs }
    elseif gathering[1] then
      call('HINCRBY', base .. 'gathering', 'overtaken', 1)
    end
    for pool, amount in units(needs) do call('HINCRBY', base .. 'used', pool, amount) end
  end

  -- What a job with demands of its own meets when its turn comes: `take`, or `gone` (it has left the queue), and what its
  -- worker is told.
  local function admit(number, type, state, score)
    local job = ties(number)
    local function park(reason)
      call('ZREM', base .. 'ready:' .. type, number)
      wait(number, state, reason)
      passed[#passed + 1] = job
      job.number = number
      return 'gone'
    end
    local digest = job.cache and match(job.cache, '^%S+')
    if digest then
      local kept = call('HMGET', base .. 'cache:' .. digest, 'from', 'result')
      if kept[1] then
        call('ZREM', base .. 'ready:' .. type, number)
        call('HSET', key(number), 'fromCache', kept[1], 'result', kept[2])
        conclude(number, 'completed', 'ended=' .. stamp, true)
        return 'gone'
      end
      local leader = call('HGET', base .. 'leads', digest)
      if leader and leader ~= number then
        call('ZADD', base .. 'alike:' .. digest, number, number)
        return park()
      end
    end
    local strategy, name
    if job.conflict then
      strategy, name = conflict_of(job)
      local holder = call('HGET', base .. 'holders', name)
      if holder and holder ~= number then
        local moved = tonumber(match(state, ' moved=(%d+)') or 0)
        if strategy == 'cancel' or (strategy == 'reschedule' and moved >= 3) then
          call('ZREM', base .. 'ready:' .. type, number)
          conclude(number, 'cancelled', 'ended=' .. stamp .. ' reason=conflict with ' .. holder, true)
          return 'gone'
        end
        call('ZADD', base .. 'parked:' .. name, number, number)
        local others = string.gsub(state, ' moved=%d+', '')
        state = (others == '' and 'pending' or others) .. ' moved=' .. moved + 1
        return park()
      end
    end
    local lacking = job.needs and fits(number, job.needs)
    if lacking then
      call('ZADD', base .. 'short:' .. lacking, format('%d', score), number)
      return park()
    end
    if name then
      call('HSET', base .. 'holders', name, number)
      if call('HGET', base .. 'heirs', name) == number then call('HDEL', base .. 'heirs', name) end
      local mark = strategy == 'merge' and type .. ' ' .. name
      if mark and call('HGET', base .. 'merging', mark) == number then call('HDEL', base .. 'merging', mark) end
    end
    if digest then call('HSET', base .. 'leads', digest, number) end
    if job.preemptible then call('ZADD', base .. 'preemptible', stamp, number) end
    local more = call('HMGET', key(number), 'timeout', 'trace')
    return 'take', more[1], more[2]
  end

  -- Lets the next ones have their turn after those that went elsewhere.
  local function let_pass()
    for _, job in ipairs(passed) do
      if job.conflict then
        local _, name = conflict_of(job)
        if call('HGET', base .. 'heirs', name) == job.number then pass_on(name) end
      end
      for pool in units(job.needs or '') do refill(pool) end
    end
    passed = {}
  end

  -- Whether nothing runs in a process.
  local function is_idle(worker, process)
    if call('SCARD', base .. 'held:' .. worker) > 0 then return false end
    if process == worker then return true end
    for i = 0, 63 do
      if call('SCARD', base .. 'held:' .. process .. '.' .. i) > 0 then return false end
    end
    return true
  end

  -- What a worker does about a job that is to run apart: `take` when it has nothing else, `stop` when it takes nothing else
  -- until then, since the job has waited long enough and nobody else has done so; or `pass`.
  local is_free
  local function apart(worker, process, at, has_taken)
    if is_free == nil then is_free = is_idle(worker, process) end
    if is_free and not has_taken then return 'take' end
    if now - at < APART_AFTER_MS then return 'pass' end
    local other, since = match(call('HGET', base .. 'apart', '?') or '', '^(%S+) (%d+)$')
    if other and other ~= process and now - since < APART_WANTED_MS then return 'pass' end
    call('HSET', base .. 'apart', '?', process .. ' ' .. stamp)
    return 'stop'
  end

  rare.fail = fail
  rare.admit = admit
  rare.let_pass = let_pass
  rare.apart = apart
end

-- A worker's process, of whose loops each is a worker of its own (`host-pid-1a2b.0`).
local function process_of(worker) return match(worker, '^(.*)%.%d+$') or worker end

-- When a job was lost of which one more loss would be the end: it runs apart, so that nobody ends for what its neighbours did.
local function lost_at(state)
  if tonumber(match(state, ' lost=(%d+)') or 0) < MOST_LOST - 1 then return nil end
  local at = tonumber(match(state, ' lostAt=(%d+)') or 0)
  return now - at <= LOST_WITHIN_MS and at
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

-- Leases the lane's first job: its state, and its place among the leases. Returns the attempt. `process` is given when the
-- job is to run apart in it.
local plain_expiry = format('%d', now + LEASE_MS)
local function lease(lane, by, state, token, timeout, special, process)
  local number = lane.number
  local attempt = 1
  -- What the end has to look at is said here, so that it reads one field.
  local more = special and ' special=1' or ''
  if timeout then more = format(' until=%d', now + timeout) .. more end
  if state then
    attempt = (match(state, 'attempt=(%d+)') or 0) + 1
    local lost, at = match(state, ' lost=([1-9]%d*)'), match(state, ' lostAt=(%d+)')
    if lost then more = more .. ' lost=' .. lost .. ' lostAt=' .. (at or 0) end
    if process then more = more .. ' apart=' .. process end
  end
  call('HSET', key(number), 'state', 'running token=' .. token .. by .. attempt .. ' started=' .. stamp .. ' score='
    .. lane.heads[lane.at + 1] .. more)
  local taken, leased = lane.taken, lane.leased
  taken[#taken + 1] = number
  leased[#leased + 1] = plain_expiry
  leased[#leased + 1] = number
  note('started', number)
  -- Each priority has a share of the promise, so that whoever is late is not yet late by the promise.
  if lane.promise and now > lane.score then
    local target_ms = TARGET_MS[call('HGET', key(number), 'priority') or 'normal']
    local waited = now - lane.score + within(lane.promise, target_ms)
    with_ends()
    if waited > lane.promise then rare.violated(lane.type, number, 'queue', waited, lane.promise) end
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
  local process = process_of(worker)
  if call('HGET', base .. 'apart', process) then
    -- Whoever ends what runs there wakes the types again.
    call('SADD', base .. 'blocked', unpack(types))
    return given
  end
  for _, type in ipairs(types) do expire(type) end
  local settings = call('HMGET', base .. 'types', unpack(types))
  local all, open, resume = {}, {}, nil
  for i, type in ipairs(types) do
    local limit, later_ms, window = most, nil, nil
    if settings[i] and settings[i] ~= '' then limit, later_ms, window = room(type, settings[i], most) end
    if later_ms and (not resume or later_ms < resume) then resume = later_ms end
    local fresh = limit > 0 and lane(type, settings[i] or '', limit, window)
    if fresh then
      all[#all + 1] = fresh
      open[#open + 1] = fresh
    end
  end
  local token = math.max(tonumber(call('GET', base .. 'tokens') or 0), now * 1000)
  local by = ' worker=' .. worker .. ' attempt='
  local total, scanned, at = 0, 0, 0
  local may_have_more = false
  while total < most and #open > 0 and scanned < most + MOST_SCANNED do
    local place = #open == 1 and 1 or earliest(open)
    local lane = open[place]
    local number = lane.number
    local job = call('HMGET', key(number), 'config', 'state', 'special')
    local verdict, timeout, trace = 'take', nil, nil
    local lost = job[2] and lost_at(job[2])
    if lost or job[3] then with_rules() end
    if lost then verdict = rare.apart(worker, process, lost, total > 0) end
    if verdict == 'take' and job[3] then verdict, timeout, trace = rare.admit(number, lane.type, job[2] or '', lane.score) end
    if verdict == 'take' then
      token = token + 1
      total = total + 1
      local text = format('%d', token)
      given[at + 1] = number
      given[at + 2] = text
      given[at + 3] = lease(lane, by, job[2], text, tonumber(timeout or nil), job[3] or lost, lost and process)
      given[at + 4] = lane.type
      given[at + 5] = job[1] or call('GET', base .. 'config:' .. number) or '{}'
      given[at + 6] = timeout or ''
      given[at + 7] = trace or ''
      at = at + 7
    elseif verdict == 'gone' then
      lane.read = lane.read - 1
    end
    if lost and verdict ~= 'gone' then
      may_have_more = true
      if verdict == 'take' then
        call('HSET', base .. 'apart', process, number)
        if match(call('HGET', base .. 'apart', '?') or '', '^%S+') == process then call('HDEL', base .. 'apart', '?') end
        break
      end
      call('SADD', base .. 'blocked', lane.type)
      if verdict == 'stop' then break end
    end
    scanned = scanned + 1
    if not advance(lane) then table.remove(open, place) end
  end
  may_have_more = may_have_more or total == most or scanned >= most + MOST_SCANNED
  for _, lane in ipairs(all) do close(lane, worker, may_have_more) end
  if total > 0 then call('SET', base .. 'tokens', format('%d', token)) end
  if #passed > 0 then rare.let_pass() end
  return given, resume
end
