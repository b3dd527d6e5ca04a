-- Changes one job: runs it now, tries a dead one again, edits one that waits, deletes one. Joined behind runs.lua.
-- KEYS    1 beginning of the queue's keys  2 idempotency record (string), where there is one; last the guard
-- ARGV    now, run id, the record to keep (empty for none), `run` `retry` `edit` or `delete`, job, expected version (empty
--         for any); for run: how many jobs that have not ended the queue may have; for edit: due (ms, or empty for as it is), what it may wait at most (ms, empty as it is), how many
--         fields to remove, those, then fields and values
-- RETURNS `done`, and for a run of a schedule its number; or why not: `gone`, `changed` and the version, `state` and what
--         it is, `full`; or `recorded` and the record
-- EFFECTS the job, its set, what its end leads to, the record
-- COST    O(log m), and what an end leads to
local record_key = #KEYS == 3 and KEYS[2]
if record_key then
  local record = call('GET', record_key)
  if record then return { 'recorded', record } end
end
local op, number = ARGV[4], ARGV[5]
local job = call('HMGET', key(number), 'type', 'state', 'special', 'version', 'priority')
local type = job[1]
if not type then return { 'gone' } end
if ARGV[6] ~= '' and ARGV[6] ~= (job[4] or '1') then return { 'changed', job[4] or '1' } end
local state = job[2] or 'pending'
local word = match(state, '^%a+')
local answer = { 'done' }

-- Where a job lies that is neither running nor ended; nil when it lies nowhere.
local function place()
  for _, set in ipairs({ 'ready:' .. type, 'delayed', 'waiting', 'schedules', 'idle' }) do
    local score = call('ZSCORE', base .. set, number)
    if score then return set, tonumber(score) end
  end
end

local function again()
  remember(number, state)
  call('HDEL', key(number), 'state', 'error', 'result', 'fromCache', 'counted', 'progress')
  ready(number, type, now + target(type, job[5]))
end

local set, score = place()
local removed = call('ZREM', base .. 'ended', number) + call('ZREM', base .. 'dead', number)
local function restore()
  if removed > 0 then call('ZADD', base .. (FAILED[word] and 'dead' or 'ended'), stamp, number) end
end

if op == 'run' then
  if set == 'schedules' then
    if not admits(1, tonumber(ARGV[7])) then return { 'full' } end
    local map, copied = read_schedule(number)
    answer[2] = spawn(number, map, copied, stamp)
    if not answer[2] then return { 'state', 'running' } end
  elseif set == 'idle' or set == 'delayed' then
    call('ZREM', base .. set, number)
    if set == 'idle' then call('HDEL', key(number), 'state') end
    ready(number, type, now + target(type, job[5]))
  elseif removed > 0 then
    again()
  elseif set ~= 'ready:' .. type then
    return { 'state', word }
  end
elseif op == 'retry' then
  if removed == 0 or not FAILED[word] then
    restore()
    return { 'state', word }
  end
  again()
elseif op == 'delete' then
  if word == 'running' then return { 'state', word } end
  if set then
    call('ZREM', base .. set, number)
    conclude(number, 'cancelled', 'ended=' .. stamp .. ' reason=deleted', job[3])
    forgotten[number] = true
  else
    remove({ number })
  end
  call('UNLINK', base .. 'active:' .. number, base .. 'queued:' .. number)
  note('deleted', number)
else
  restore()
  if not set then return { 'state', word } end
  local drop = tonumber(ARGV[9])
  if drop > 0 then call('HDEL', key(number), unpack(ARGV, 10, 9 + drop)) end
  if #ARGV > 9 + drop then call('HSET', key(number), unpack(ARGV, 10 + drop, #ARGV)) end
  call('HSET', key(number), 'version', tonumber(job[4] or 1) + 1)
  local large = call('HGET', key(number), 'largeConfig')
  if large then
    call('SET', base .. 'config:' .. number, large)
    call('SADD', base .. 'extras', number)
    call('HDEL', key(number), 'largeConfig')
  else
    call('DEL', base .. 'config:' .. number)
  end
  if set == 'ready:' .. type and ARGV[8] ~= '' then
    -- The promise changes, the time since which it waits does not.
    local before = promise(type) or TARGET_MS[job[5] or 'normal']
    ready(number, type, score - before + (promise(type) or tonumber(ARGV[8])))
  elseif (set == 'delayed' or set == 'schedules') and ARGV[7] ~= '' then
    call('ZADD', base .. set, ARGV[7], number)
  end
  note('changed', number)
end
finish_up()
if record_key then call('SET', record_key, ARGV[3], 'PX', 86400000) end
return answer
