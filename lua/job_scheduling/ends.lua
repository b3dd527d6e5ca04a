-- What the end of an execution, and of a job, leads to. Joined behind ties.lua.
--
-- Uses what queue.lua and ties.lua give. Gives `conclude`, which ends a job, and `finish_up`, the last thing a script does: it
-- follows what hangs on the ends of this call (dependants, batches, unique keys, schedules, followers of a result, alerts),
-- so many jobs in a call, the rest with the next tick, and writes what the call gathered in the four lists below.
local MOST_SETTLED = 300
local FAILED = { failed = true, timeout = true, dead = true }

-- Jobs that this call has ended, each with its outcome; those whose ends lead to something; counts by what they count; jobs
-- that are to leave nothing behind.
local concluded, unsettled, totals, forgotten = {}, {}, {}, {}

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

-- The same.
local function with_ends()
  if rare.settle then return end
  with_ties()
  local ties, alert, resize, pass_on = rare.ties, rare.alert, rare.resize, rare.pass_on
  local follow, leave = rare.follow, rare.leave
  local MOST_FED = 200
  local ENDED = { completed = true, cancelled = true, skipped = true, failed = true, timeout = true, dead = true }

  -- A promise of a type that was not kept.
  local function violated(type, number, what, actual, promised)
    call('XADD', base .. 'violations', 'MAXLEN', '~', '1000', '*', 'type', type, 'job', number, 'what', what, 'actualMs',
      format('%d', actual), 'promisedMs', format('%d', promised))
    call('HINCRBY', base .. 'sla:' .. type, what, 1)
    note('sla', number)
    alert(type, 'sla', number, what)
  end

  -- Lets a job go on that need wait no more for others: unless the batch that it belongs to is still being filled, or the one
  -- that it is to follow goes on. What was to be done with it then (`later`) is done now.
  local function go_on(number)
    local job = call('HMGET', key(number), 'batch', 'unmet', 'awaits', 'later')
    if tonumber(job[2] or 0) > 0 or job[3] then return end
    if job[1] and call('ZSCORE', base .. 'batch:' .. job[1] .. ':held', number) then return end
    if call('ZREM', base .. 'waiting', number) == 0 then return end
    if not job[4] then return begin(number) end
    call('HDEL', key(number), 'later')
    local set, due = match(job[4], '^(%a+) (%d+)$')
    if set == 'idle' then
      call('HSET', key(number), 'state', 'idle')
      call('ZADD', base .. 'idle', stamp, number)
    elseif set == 'schedules' then
      call('HSET', key(number), 'state', 'scheduled')
      call('ZADD', base .. 'schedules', due, number)
    elseif tonumber(due) > now then
      call('HDEL', key(number), 'state')
      call('ZADD', base .. 'delayed', due, number)
    else
      begin(number)
    end
  end

  -- Whether a dependant that waits for `on` can go on after `outcome`.
  local function meets(on, outcome)
    if on == 'completion' then return true end
    if on == 'success' then return outcome == 'completed' end
    return FAILED[outcome] or false
  end

  -- Makes a job wait for others (`000000000001:success …`); what becomes of it: `waiting`, `ended` (it was skipped) or nil.
  local function depend(number, after)
    local unmet = 0
    for other, on in string.gmatch(after, '(%d+):(%a+)') do
      local state = call('HGET', key(other), 'state') or 'pending'
      local outcome = match(state, '^%a+')
      if ENDED[outcome] then
        if not meets(on, outcome) then
          call('HSET', key(number), 'unmet', unmet)
          conclude(number, 'skipped', 'ended=' .. stamp .. ' reason=dependency ' .. other .. ' ' .. outcome, true)
          return 'ended'
        end
      elseif call('ZADD', base .. 'waiters:' .. other, number, number .. ' ' .. on) == 1 then
        unmet = unmet + 1
        call('HSET', key(other), 'special', 1)
        if outcome == 'running' and not string.find(state, ' special=', 1, true) then
          call('HSET', key(other), 'state', state .. ' special=1')
        end
      end
    end
    if unmet > 0 then
      call('HSET', key(number), 'unmet', unmet)
      return 'waiting'
    end
    call('HDEL', key(number), 'unmet')
  end

  -- Tells those who waited for this job.
  local function tell_dependants(number, outcome)
    local list = base .. 'waiters:' .. number
    local entries = call('ZPOPMIN', list, MOST_FED)
    for i = 1, #entries, 2 do
      local dependant, on = match(entries[i], '^(%d+) (%a+)$')
      local state = call('HGET', key(dependant), 'state')
      if state and match(state, '^waiting') then
        if not meets(on, outcome) then
          call('ZREM', base .. 'waiting', dependant)
          conclude(dependant, 'skipped', 'ended=' .. stamp .. ' reason=dependency ' .. number .. ' ' .. outcome, true)
        elseif call('HINCRBY', key(dependant), 'unmet', -1) == 0 then
          go_on(dependant)
        end
      end
    end
    if #entries == 2 * MOST_FED then later('dependants ' .. number .. ' ' .. outcome) end
  end

  -- When all jobs of a complete batch have ended, its callback may begin: once.
  local function close_batch(batch)
    local hash = base .. 'batch:' .. batch
    local info = call('HMGET', hash, 'sealed', 'open', 'callback', 'called')
    if not info[1] or tonumber(info[2]) > 0 then return end
    call('HSET', hash, 'ended', stamp)
    call('PEXPIRE', hash, 7 * 86400000)
    if not info[3] or info[4] then return end
    call('HSET', hash, 'called', 1)
    if call('HDEL', key(info[3]), 'awaits') == 1 then go_on(info[3]) end
  end

  -- Counts a job of a batch, by how it ended last.
  local function count_in_batch(number, batch, outcome)
    local hash = base .. 'batch:' .. batch
    if call('EXISTS', hash) == 0 then return end
    call('HSET', key(number), 'counted', outcome)
    call('HINCRBY', hash, outcome, 1)
    call('HINCRBY', hash, 'open', -1)
    close_batch(batch)
  end

  -- A job that had ended, and was counted in its batch, runs again: the batch has not ended.
  local function uncount_in_batch(number, batch, outcome)
    local hash = base .. 'batch:' .. batch
    call('HDEL', key(number), 'counted')
    if call('EXISTS', hash) == 0 then return end
    call('HINCRBY', hash, outcome, -1)
    call('HINCRBY', hash, 'open', 1)
    call('HDEL', hash, 'ended')
    call('PERSIST', hash)
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

  -- Gives a result to those who wait for it.
  local function feed(digest)
    local kept = call('HMGET', base .. 'cache:' .. digest, 'from', 'result')
    -- It is over already: somebody runs anew.
    if not kept[1] then return follow(digest) end
    local list = base .. 'alike:' .. digest
    for _ = 1, MOST_FED do
      local follower = call('ZPOPMIN', list)[1]
      if not follower then return end
      if call('ZREM', base .. 'waiting', follower) == 1 then
        call('HSET', key(follower), 'fromCache', kept[1], 'result', kept[2])
        conclude(follower, 'completed', 'ended=' .. stamp, true)
      end
    end
    if call('EXISTS', list) == 1 then later('followers ' .. digest) end
  end

  -- The leader's result is for all who ask for the same.
  local function keep_result(number, cache)
    local digest, forMs = match(cache, '^(%S+) (%d+)$')
    if call('HGET', base .. 'leads', digest) ~= number then return end
    local name = base .. 'cache:' .. digest
    call('HDEL', base .. 'leads', digest)
    call('HSET', name, 'from', number, 'result', call('HGET', key(number), 'result') or '')
    call('PEXPIRE', name, forMs)
    call('ZADD', base .. 'cached', stamp, digest)
    if call('ZCARD', base .. 'cached') > 1000 then
      local oldest = call('ZPOPMIN', base .. 'cached')[1]
      if oldest ~= digest then call('UNLINK', base .. 'cache:' .. oldest) end
    end
    feed(digest)
  end

  -- Follows the end of one job: the one place that knows all that may hang on it.
  local function settle(number, outcome)
    local job = ties(number)
    if not job.type then return end
    -- Lists that a version before this one has left.
    for _, entry in ipairs(call('LPOP', base .. 'dependants:' .. number, 500) or {}) do
      call('ZADD', base .. 'waiters:' .. number, number, entry)
    end
    local digest = job.cache and match(job.cache, '^%S+')
    for _, follower in ipairs(digest and call('LPOP', base .. 'followers:' .. digest, 500) or {}) do go_on(follower) end
    if outcome == 'completed' and job.cache then keep_result(number, job.cache) end
    leave(number, job)
    -- A key that was given a time of its own is kept that long, unless there is to be nothing left of the job.
    if job.unique and (forgotten[number] or not job.uniqueMs) and call('GET', base .. 'unique:' .. job.unique) == number then
      call('DEL', base .. 'unique:' .. job.unique)
    end
    if FAILED[outcome] then alert(job.type, outcome, number, job.error or '') end
    if job.batch and not job.counted then count_in_batch(number, job.batch, outcome) end
    tell_dependants(number, outcome)
    if job.of then tell_schedule(number, job.of, outcome) end
  end

  -- Does what an earlier call had left.
  local function do_left(what)
    local word, subject, rest = match(what, '^(%S+) (%S+) ?(.*)$')
    if word == 'dependants' then
      tell_dependants(subject, rest)
    elseif word == 'followers' then
      feed(subject)
    elseif word == 'parked' then
      pass_on(match(what, '^parked (.*)$'))
    elseif word == 'pool' then
      resize(subject)
    else
      unsettled[#unsettled + 1] = word
      unsettled[#unsettled + 1] = subject
    end
  end

  rare.ENDED = ENDED
  rare.violated = violated
  rare.go_on = go_on
  rare.depend = depend
  rare.close_batch = close_batch
  rare.uncount_in_batch = uncount_in_batch
  rare.settle = settle
  rare.do_left = do_left
end

-- Follows the ends of this call and writes what it gathered. The last thing a script does.
local function finish_up()
  if #unsettled > 0 then with_ends() end
  local i = 1
  while i <= #unsettled and i < 2 * MOST_SETTLED do
    rare.settle(unsettled[i], unsettled[i + 1])
    i = i + 2
  end
  for j = i, #unsettled, 2 do later(unsettled[j] .. ' ' .. unsettled[j + 1]) end
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
