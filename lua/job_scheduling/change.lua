-- Changes one job: runs it now, tries a dead one again, edits one that waits, deletes one. Joined behind runs.lua.
-- KEYS    1 beginning of the queue's keys  2 idempotency record (string), where there is one; last the guard
-- ARGV    now, run id, the record to keep (empty for none), `run` `retry` `edit` or `delete`, job, expected version (empty
--         for any); for run and retry: how many jobs that have not ended the queue may have, and the next slot of a schedule
--         (ms, or empty when it is not known); for edit: due (ms, or empty for as it is), what it may wait at most (ms, empty
--         as it is), how many fields to remove, those, then fields and values
-- RETURNS `done`, and for a run of a schedule its number; or why not: `gone`, `changed` and the version, `state` and what
--         it is, `full`, `held` and the job that has its unique key, `slot` (a schedule is to go on: its next slot is needed),
--         `unknown-dependency` or `cycle` and the job, `impossible-demand` and the pool; or `recorded` and the record
-- EFFECTS the job, its set, what its end leads to, the record
-- COST    O(log m), and what an end leads to
local MOST_LOOKED_AT = 1000
with_ends()
local ties, leave, units, wait = rare.ties, rare.leave, rare.units, rare.wait
local ENDED, depend, go_on, uncount_in_batch = rare.ENDED, rare.depend, rare.go_on, rare.uncount_in_batch
local record_key = #KEYS == 3 and KEYS[2]
if record_key then
  local record = call('GET', record_key)
  if record then return { 'recorded', record } end
end
local op = ARGV[4]
-- A job may be known under another number, into which it was merged.
local number = call('HGET', key(ARGV[5]), 'mergedInto') or ARGV[5]
local job = call('HMGET', key(number), 'type', 'state', 'special', 'version', 'priority')
local type = job[1]
if not type then return { 'gone' } end
if ARGV[6] ~= '' and ARGV[6] ~= (job[4] or '1') then return { 'changed', job[4] or '1' } end
local state = job[2] or 'pending'
local word = match(state, '^%a+')
local answer = { 'done' }

-- Whether another job has the unique key that this one is to have.
local function held_by(unique)
  local holder = unique and call('GET', base .. 'unique:' .. unique)
  return holder and holder ~= number and call('EXISTS', key(holder)) == 1 and holder
end

local function take_key(unique, forMs)
  if not unique then return end
  local name = base .. 'unique:' .. unique
  if call('GET', name) == number then return end
  if forMs then call('SET', name, number, 'PX', forMs) else call('SET', name, number) end
end

-- Has a job that has ended run again, as if it were new but for its history.
local function again()
  local own = ties(number)
  local schedule = call('HGET', key(number), 'schedule')
  local holder = held_by(own.unique)
  if holder then return { 'held', holder } end
  if schedule and (ARGV[8] or '') == '' then return { 'slot' } end
  if admitted(1, tonumber(ARGV[7])) == 0 then return { 'full' } end
  call('ZREM', base .. 'ended', number)
  call('ZREM', base .. 'dead', number)
  take_key(own.unique, own.uniqueMs)
  remember(number, state)
  local attempts = tonumber(match(state, ' attempt=(%d+)') or 0)
  if attempts > 0 then
    local good = word == 'completed' and 1 or 0
    local failed = FAILED[word] and attempts or attempts - 1
    call('HINCRBY', key(number), 'runs', attempts)
    call('HINCRBY', key(number), 'succeeded', good)
    call('HINCRBY', key(number), 'failed', failed)
  end
  call('HDEL', key(number), 'state', 'error', 'result', 'fromCache', 'progress', 'unmet', 'later', 'awaits')
  if own.batch and own.counted then uncount_in_batch(number, own.batch, own.counted) end
  if own.of then call('SADD', base .. 'active:' .. own.of, number) end
  if schedule then
    call('HSET', key(number), 'state', 'scheduled')
    call('ZADD', base .. 'schedules', ARGV[8], number)
  else
    ready(number, type, now + target(type, job[5]))
  end
  note('again', number)
  return answer
end

-- Whether a job waits for `number`, be it by way of others.
local function leads_here(from)
  local open, seen, looked = { from }, {}, 0
  while #open > 0 do
    local other = table.remove(open)
    if other == number then return true end
    if not seen[other] then
      seen[other] = true
      looked = looked + 1
      local its = call('HMGET', key(other), 'after', 'unmet', 'awaits', 'state')
      -- A callback waits for all jobs of its batch; who they wait for is not looked at.
      if its[3] or looked > MOST_LOOKED_AT then return true end
      if tonumber(its[2] or 0) > 0 and match(its[4] or '', '^waiting') then
        for reference in string.gmatch(its[1] or '', '(%d+):%a+') do open[#open + 1] = reference end
      end
    end
  end
  return false
end

-- What an edit may not ask for, before anything is written; nil when all is well.
local function refusal(map, old)
  local holder = map.unique ~= old.unique and held_by(map.unique)
  if holder then return { 'held', holder } end
  for pool, amount in units(map.needs or '') do
    if map.needs ~= old.needs and tonumber(amount) > tonumber(call('HGET', base .. 'pools', pool) or 0) then
      return { 'impossible-demand', pool }
    end
  end
  if map.after and map.after ~= old.after then
    for other in string.gmatch(map.after, '(%d+):%a+') do
      if call('EXISTS', key(other)) == 0 then return { 'unknown-dependency', other } end
      if leads_here(other) then return { 'cycle', other } end
    end
  end
end

-- Whether the scripts have to look at more than type and config of a job.
local SPECIAL = { 'timeout', 'trace', 'after', 'unique', 'needs', 'conflict', 'cache', 'preemptible', 'batch', 'of', 'awaits' }
local function mark_special()
  local values = call('HMGET', key(number), unpack(SPECIAL))
  local is_special = call('EXISTS', base .. 'waiters:' .. number, base .. 'dependants:' .. number) > 0
  for i in ipairs(SPECIAL) do is_special = is_special or values[i] end
  if is_special then call('HSET', key(number), 'special', 1) else call('HDEL', key(number), 'special') end
end

-- What the scripts keep, and what a job belongs to, is not for an edit; its config is put elsewhere.
local function may_edit(name)
  return FIELDS[name] ~= 'kept' and name ~= 'batch' and name ~= 'awaits' and name ~= 'config' and name ~= 'largeConfig'
end

-- The edit of a job that waits: it leaves all that it waits in, is changed, and goes where it belongs now.
local function edit()
  local old = ties(number)
  local map, drop, dropped = {}, tonumber(ARGV[9]), {}
  for i = 10, 9 + drop do dropped[ARGV[i]] = true end
  for i = 10 + drop, #ARGV, 2 do map[ARGV[i]] = ARGV[i + 1] end
  for _, name in ipairs({ 'unique', 'uniqueMs', 'after', 'needs' }) do
    if not map[name] and not dropped[name] and old[name] then map[name] = old[name] end
  end
  local refused = refusal(map, old)
  if refused then return refused end
  local set, score = withdraw(number, type)
  if not set then return { 'state', word } end
  local waits_for_others = tonumber(old.unmet or 0) > 0
  local new_after = map.after ~= old.after
  -- Who waits for others goes on waiting, unless it is for them that the edit is.
  local after = old.after
  if not new_after then old.after = nil end
  leave(number, old)
  if old.unique and map.unique ~= old.unique and call('GET', base .. 'unique:' .. old.unique) == number then
    call('DEL', base .. 'unique:' .. old.unique)
  end
  local before = target(type, job[5])
  for name in pairs(dropped) do
    if may_edit(name) then call('HDEL', key(number), name) end
  end
  for name, value in pairs(map) do
    if may_edit(name) then call('HSET', key(number), name, value) end
  end
  if map.config or map.largeConfig then put_config(number, map.config, map.largeConfig) end
  call('HSET', key(number), 'version', tonumber(job[4] or 1) + 1)
  take_key(map.unique, map.uniqueMs)
  local waiting
  if new_after then
    waiting = map.after and depend(number, map.after)
  else
    waiting = after and waits_for_others and 'waiting'
  end
  mark_special()
  note('changed', number)
  if waiting == 'ended' then return answer end
  local due = tonumber(ARGV[7])
  local its = call('HMGET', key(number), 'batch', 'awaits', 'of', 'later', 'priority')
  local is_held = its[1] and call('ZSCORE', base .. 'batch:' .. its[1] .. ':held', number)
  local is_queued = its[3] and call('ZSCORE', base .. 'queued:' .. its[3], number)
  if waiting or is_held or its[2] or is_queued then
    if due and its[4] then
      call('HSET', key(number), 'later', match(its[4], '^%a+') .. ' ' .. ARGV[7])
    elseif due then
      call('HSET', key(number), 'later', 'delayed ' .. ARGV[7])
    elseif set ~= 'ready:' .. type and set ~= 'waiting' then
      call('HSET', key(number), 'later', set .. ' ' .. format('%d', score))
    end
    wait(number, job[2])
  elseif set == 'schedules' then
    call('ZADD', base .. set, due and ARGV[7] or score, number)
  elseif due and due > now then
    if word ~= 'retrying' then
      local kept = carried(job[2])
      if kept == '' then call('HDEL', key(number), 'state') else call('HSET', key(number), 'state', 'pending' .. kept) end
    end
    call('ZADD', base .. 'delayed', ARGV[7], number)
  elseif set == 'idle' and not due then
    call('ZADD', base .. set, score, number)
  elseif set == 'delayed' and not due then
    call('ZADD', base .. set, score, number)
  elseif set == 'ready:' .. type then
    -- The promise changes, the time since which it waits does not.
    ready(number, type, score - before + target(type, its[5]))
  elseif its[4] then
    -- What it waited for is over or no more: `go_on` does with it what was to be done then.
    wait(number, job[2])
    go_on(number)
  else
    begin(number)
  end
  return answer
end

if op == 'run' or op == 'retry' then
  local set, score = withdraw(number, type)
  if set then
    local function restore() call('ZADD', base .. set, format('%d', score), number) end
    if op == 'retry' or set == 'waiting' then
      restore()
      return { 'state', word }
    elseif set == 'schedules' then
      restore()
      if admitted(1, tonumber(ARGV[7])) == 0 then return { 'full' } end
      local map, copied = read_schedule(number)
      answer[2] = spawn(number, map, copied, stamp)
      if not answer[2] then return { 'state', 'running' } end
    elseif set == 'ready:' .. type then
      restore()
    else
      if set == 'idle' then call('HDEL', key(number), 'state') end
      ready(number, type, now + target(type, job[5]))
    end
  elseif ENDED[word] and (op == 'run' or FAILED[word] or call('HEXISTS', key(number), 'schedule') == 1) then
    local done = again()
    if done ~= answer then return done end
  else
    return { 'state', word }
  end
elseif op == 'delete' then
  if word == 'running' then return { 'state', word } end
  if withdraw(number, type) then
    conclude(number, 'cancelled', 'ended=' .. stamp .. ' reason=deleted', true)
    forgotten[number] = true
  else
    local unique = call('HGET', key(number), 'unique')
    if unique and call('GET', base .. 'unique:' .. unique) == number then call('DEL', base .. 'unique:' .. unique) end
    call('ZREM', base .. 'ended', number)
    call('ZREM', base .. 'dead', number)
    remove({ number })
  end
  note('deleted', number)
else
  local done = edit()
  if done ~= answer then return done end
end
finish_up()
if record_key then call('SET', record_key, ARGV[3], 'PX', 86400000) end
return answer
