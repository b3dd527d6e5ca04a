-- What the end of an execution, and of a job, leads to. Joined behind queue.lua.
--
-- `conclude` ends a job; `finish_up` follows what hangs on the ends of this call (dependants, batches, unique keys,
-- schedules, followers of a cached result, alerts), at most 500 jobs in a call, the rest with the next tick, and writes
-- what the call gathered.
local MOST_SETTLED = 500
local FAILED = { failed = true, timeout = true, dead = true }

local concluded = {}
local unsettled = {}
local totals = {}
local forgotten = {}

local function count(what, by) totals[what] = (totals[what] or 0) + (by or 1) end

-- Ends a job for good. `line` is the rest of its state; `special` says that something may hang on its end.
local function conclude(number, outcome, line, special)
  call('HSET', key(number), 'state', outcome .. ' ' .. line)
  concluded[#concluded + 1] = number
  concluded[#concluded + 1] = outcome
  note(outcome, number)
  count(outcome)
  if special or FAILED[outcome] then
    unsettled[#unsettled + 1] = number
    unsettled[#unsettled + 1] = outcome
  end
end

-- Puts a job that waited for its turn where it goes on.
local function unpark(number)
  local state = call('HGET', key(number), 'state') or ''
  begin(number, match(state, 'attempt=(%d+)'), match(state, 'lost=(%d+)'))
end

-- Gives back what an execution held: room in pools, a named resource.
local function free(number)
  local job = call('HMGET', key(number), 'needs', 'conflict', 'preemptible')
  if job[1] then
    for pool, amount in string.gmatch(job[1], '([^ =]+)=(%d+)') do
      call('HINCRBY', base .. 'used', pool, '-' .. amount)
    end
    call('DEL', base .. 'gathering')
  end
  if job[3] then call('ZREM', base .. 'preemptible', number) end
  if not job[2] then return end
  local name = match(job[2], '^%S+ %d+ (.+)$')
  if call('HGET', base .. 'holders', name) ~= number then return end
  call('HDEL', base .. 'holders', name)
  local next
  repeat
    next = call('ZPOPMIN', base .. 'parked:' .. name)[1]
    -- One that was cancelled meanwhile waits no more.
  until not next or call('ZREM', base .. 'waiting', next) == 1
  if not next then return end
  local text = call('HMGET', key(next), 'conflict', 'state')
  local delay = text[1] and match(text[1], '^reschedule (%d+)')
  if delay then
    call('HSET', key(next), 'state', 'pending ' .. (match(text[2] or '', '^%S+ (.*)$') or ''))
    call('ZADD', base .. 'delayed', format('%d', now + delay), next)
  else
    unpark(next)
  end
end

-- Makes a job of kind `http` that tells `url` what happened to another one.
local function alert(type, event, number, detail)
  local url = call('HMGET', base .. 'alerts', type, '*')
  url = url[1] or url[2]
  if not url or type == 'http' then return end
  local own = format('%012d', call('INCR', base .. 'sequence'))
  local body = { event = event, job = match(base, '{(.*)}') .. '-' .. number, type = type, detail = detail, at = stamp }
  call('HSET', key(own), 'name', 'alert: ' .. event, 'type', 'http', 'created', stamp, 'config',
    cjson.encode({ url = url, body = body }))
  call('HSETNX', base .. 'types', 'http', '')
  ready(own, 'http', now + TARGET_MS.normal)
end

-- A promise of a type that was not kept.
local function violated(type, number, what, actual, promised)
  call('XADD', base .. 'violations', 'MAXLEN', '~', '1000', '*', 'type', type, 'job', number, 'what', what, 'actualMs',
    format('%d', actual), 'promisedMs', format('%d', promised))
  call('HINCRBY', base .. 'sla:' .. type, what, 1)
  note('sla', number)
  alert(type, 'sla', number, what)
end

-- Starts a job that need wait no more, unless the batch that it belongs to is still being filled: the release starts it.
local function go_on(number)
  local batch = call('HGET', key(number), 'batch')
  if batch and call('ZSCORE', base .. 'batch:' .. batch .. ':held', number) then return end
  if call('ZREM', base .. 'waiting', number) == 1 then begin(number) end
end

-- Whether a dependant that waits for `on` can go on after `outcome`.
local function meets(on, outcome)
  if on == 'completion' then return true end
  if on == 'success' then return outcome == 'completed' end
  return FAILED[outcome] or false
end

local function skip(number, reason)
  call('ZREM', base .. 'waiting', number)
  conclude(number, 'skipped', 'ended=' .. stamp .. ' reason=' .. reason, true)
end

-- Tells those who waited for this job; true when more of them wait than one call takes.
local function tell_dependants(number, outcome)
  local list = base .. 'dependants:' .. number
  local entries = call('LPOP', list, MOST_SETTLED)
  if not entries then return false end
  for _, entry in ipairs(entries) do
    local dependant, on = match(entry, '^(%d+) (%a+)$')
    local job = call('HMGET', key(dependant), 'state', 'unmet')
    if job[1] and match(job[1], '^waiting') and job[2] then
      if not meets(on, outcome) then
        skip(dependant, 'dependency ' .. number .. ' ' .. outcome)
      elseif call('HINCRBY', key(dependant), 'unmet', -1) == 0 then
        go_on(dependant)
      end
    end
  end
  return call('EXISTS', list) == 1
end

local function tell_batch(batch, outcome)
  local hash = base .. 'batch:' .. batch
  call('HINCRBY', hash, outcome, 1)
  if call('HINCRBY', hash, 'open', -1) > 0 then return end
  local info = call('HMGET', hash, 'sealed', 'callback')
  if not info[1] then return end
  call('HSET', hash, 'ended', stamp)
  call('PEXPIRE', hash, 7 * 86400000)
  if info[2] and call('ZREM', base .. 'waiting', info[2]) == 1 then begin(info[2]) end
end

-- A run of a schedule goes into its schedule's history, and the next one that waits may start.
local function tell_schedule(number, schedule, outcome)
  if call('EXISTS', key(schedule)) == 1 then
    local lines = call('LRANGE', base .. 'history:' .. number, 0, -1)
    lines[#lines + 1] = call('HGET', key(number), 'state')
    local failure = call('HGET', key(number), 'error')
    if failure then lines[#lines] = lines[#lines] .. ' error=' .. failure end
    for _, line in ipairs(lines) do remember(schedule, 'run=' .. number .. ' ' .. line) end
    local good = outcome == 'completed' and 'succeeded' or (FAILED[outcome] and 'failed' or outcome)
    call('HINCRBY', key(schedule), good, 1)
    call('HINCRBY', key(schedule), 'runs', 1)
    call('HSET', key(schedule), 'last', stamp)
    local result = call('HGET', key(number), 'result')
    if result then call('HSET', key(schedule), 'result', result) end
  end
  local active, queued = base .. 'active:' .. schedule, base .. 'queued:' .. schedule
  -- What has failed stays to be looked at and tried again; its schedule's history has the others.
  if not FAILED[outcome] then forgotten[number] = true end
  -- The end of one that had not begun makes no room.
  if call('SREM', active, number) == 0 then return call('ZREM', queued, number) end
  while call('SCARD', active) == 0 do
    local next = call('ZPOPMIN', queued)[1]
    if not next then return end
    if call('ZREM', base .. 'waiting', next) == 1 then
      call('SADD', active, next)
      begin(next)
    end
  end
end

-- A result is the followers' as well; a leader without one is followed by the oldest of them.
local function tell_followers(number, cache, outcome)
  local digest, forMs = match(cache, '^(%S+) (%d+)$')
  local name = base .. 'cache:' .. digest
  local list = base .. 'followers:' .. digest
  if call('HGET', name, 'leader') ~= number then return end
  if outcome == 'completed' then
    local result = call('HGET', key(number), 'result') or ''
    call('HDEL', name, 'leader')
    call('HSET', name, 'from', number, 'result', result)
    call('PEXPIRE', name, forMs)
    call('ZADD', base .. 'cached', stamp, digest)
    if call('ZCARD', base .. 'cached') > 1000 then
      for i, old in ipairs(call('ZPOPMIN', base .. 'cached')) do
        if i == 1 then call('UNLINK', base .. 'cache:' .. old) end
      end
    end
    for _ = 1, MOST_SETTLED do
      local follower = call('LPOP', list)
      if not follower then return end
      if call('ZREM', base .. 'waiting', follower) == 1 then
        call('HSET', key(follower), 'fromCache', number, 'result', result)
        conclude(follower, 'completed', 'ended=' .. stamp, true)
      end
    end
    unsettled[#unsettled + 1] = number
    unsettled[#unsettled + 1] = outcome
  else
    while true do
      local follower = call('LPOP', list)
      if not follower then break end
      if call('ZSCORE', base .. 'waiting', follower) then
        call('HSET', name, 'leader', follower)
        return go_on(follower)
      end
    end
    call('HDEL', name, 'leader')
  end
end

-- A job that has ended takes no newer config, and waits for no named resource.
local function leave_conflict(number, conflict)
  local strategy, name = match(conflict, '^(%S+) %d+ (.+)$')
  call('ZREM', base .. 'parked:' .. name, number)
  if strategy == 'merge' and call('HGET', base .. 'merging', name) == number then call('HDEL', base .. 'merging', name) end
end

local function settle(number, outcome)
  local job = call('HMGET', key(number), 'type', 'unique', 'batch', 'of', 'cache', 'error', 'conflict')
  if not job[1] then return end
  if job[7] then leave_conflict(number, job[7]) end
  if job[2] and call('GET', base .. 'unique:' .. job[2]) == number then call('DEL', base .. 'unique:' .. job[2]) end
  if FAILED[outcome] then alert(job[1], outcome, number, job[6] or '') end
  if job[3] and call('HGET', key(number), 'counted') == false then
    call('HSET', key(number), 'counted', '1')
    tell_batch(job[3], outcome)
  end
  if job[5] then tell_followers(number, job[5], outcome) end
  if tell_dependants(number, outcome) then call('RPUSH', base .. 'unsettled', number .. ' ' .. outcome) end
  if job[4] then tell_schedule(number, job[4], outcome) end
end

-- Follows the ends of this call and writes what it gathered. The last thing a script does.
local function finish_up()
  local i = 1
  while i <= #unsettled and i < 2 * MOST_SETTLED do
    settle(unsettled[i], unsettled[i + 1])
    i = i + 2
  end
  for j = i, #unsettled, 2 do call('RPUSH', base .. 'unsettled', unsettled[j] .. ' ' .. unsettled[j + 1]) end
  local sets, gone = { ended = {}, dead = {} }, {}
  for j = 1, #concluded, 2 do
    local number = concluded[j]
    if forgotten[number] then
      gone[#gone + 1] = number
    else
      local list = FAILED[concluded[j + 1]] and sets.dead or sets.ended
      list[#list + 1] = stamp
      list[#list + 1] = number
    end
  end
  remove(gone)
  for name, list in pairs(sets) do
    if #list > 0 then
      call('ZADD', base .. name, unpack(list))
      trim(base .. name, KEPT_ENDED)
    end
  end
  for what, by in pairs(totals) do call('HINCRBY', base .. 'totals', what, by) end
  if next(events) then publish() end
end
