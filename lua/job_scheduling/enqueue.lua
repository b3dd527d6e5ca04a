-- Creates jobs: all of them or, when one cannot be, none. Joined behind ends.lua.
-- KEYS    1 beginning of the queue's keys  2 idempotency record (string), where there is one; last the guard
-- ARGV    now, run id, the record's beginning (empty for none), batch and how many of its jobs are here (`id 500`, empty for none),
--         how many jobs that have not ended the queue may have, count; then per job: type, place
--         (`ready`, `delayed`, `schedules`, `idle`, `waiting`, `held`), when (ms: for ready how long it may wait, for delayed and
--         schedules when it is due, else 0), special (`1` or empty), how many words follow, then fields and values of the job's hash. `after` in a value names jobs by number or, of the
--         same call, by `#` and place from 1
-- RETURNS `created`, now, first number, then for each job what became of it: `created`, `existing <number>`,
--         `cached <number>`, `merged <number>`; or `recorded` and the record; or `refused`, place of the job, a word
--         (`unknown-dependency`, `impossible-demand`, `full`) and its subject; or `broken` (the batch is gone)
-- EFFECTS jobs and their sets, unique keys, dependants, followers, wake-up markers, events
-- COST    O(n) for n jobs, at most 1000, and their dependencies
local record_key = #KEYS == 3 and KEYS[2]
if record_key then
  local record = call('GET', record_key)
  if record then return { 'recorded', record } end
end
local batch, enqueued = match(ARGV[4], '^(%S+) (%d+)$')
local jobs = {}
local at = 7
for i = 1, tonumber(ARGV[6]) do
  local words = tonumber(ARGV[at + 4])
  jobs[i] = {
    type = ARGV[at], place = ARGV[at + 1], due = tonumber(ARGV[at + 2]), special = ARGV[at + 3] ~= '', from = at + 5,
    to = at + 4 + words,
  }
  at = at + 5 + words
end
if batch then
  local known = call('HMGET', base .. 'batch:' .. batch, 'state', 'enqueued')
  if known[1] ~= 'open' or known[2] ~= enqueued then return { 'broken' } end
end

local function fields(job)
  local map = {}
  for i = job.from, job.to, 2 do map[ARGV[i]] = ARGV[i + 1] end
  return map
end

-- Nothing is written before every job is known to be possible.
for i, job in ipairs(jobs) do
  if job.special then
    job.fields = fields(job)
    for reference in string.gmatch(job.fields.after or '', '(%S+):%a+') do
      if string.sub(reference, 1, 1) ~= '#' and call('EXISTS', key(reference)) == 0 then
        return { 'refused', i, 'unknown-dependency', reference }
      end
    end
    for pool, amount in string.gmatch(job.fields.needs or '', '([^ =]+)=(%d+)') do
      if tonumber(amount) > tonumber(call('HGET', base .. 'pools', pool) or 0) then
        return { 'refused', i, 'impossible-demand', pool }
      end
    end
  end
end

if not admits(#jobs, tonumber(ARGV[5])) then return { 'refused', 1, 'full', ARGV[5] } end
if is_new then call('HSET', base .. 'clock', 'now', stamp, 'server', ARGV[2]) end
local first = call('INCRBY', base .. 'sequence', #jobs) - #jobs + 1
local sets = {}
local function put(set, score, number)
  local list = sets[set]
  if not list then
    list = {}
    sets[set] = list
  end
  list[#list + 1] = format('%d', score)
  list[#list + 1] = number
end

-- What becomes of a job that has something special: a word for the answer, nil when it is stored like any other.
local function before(job, number)
  local map = job.fields
  if map.unique then
    local name = base .. 'unique:' .. map.unique
    local holder = call('GET', name)
    if holder then return 'existing ' .. holder end
    if map.uniqueMs then
      call('SET', name, number, 'PX', map.uniqueMs)
    else
      call('SET', name, number)
    end
  end
  local strategy, name = match(map.conflict or '', '^(%S+) %d+ (.+)$')
  if strategy == 'merge' then
    local waiting = call('HGET', base .. 'merging', name)
    local state = waiting and call('HMGET', key(waiting), 'config', 'state')
    if state and (state[1] or call('EXISTS', base .. 'config:' .. waiting) == 1)
      and (not state[2] or match(state[2], '^pending') or match(state[2], '^waiting')) then
      call('HSET', key(waiting), 'config', map.config or '{}')
      call('HINCRBY', key(waiting), 'version', 1)
      call('HSET', key(number), 'mergedInto', waiting, 'type', job.type, 'created', stamp)
      call('ZADD', base .. 'ended', stamp, number)
      return 'merged ' .. waiting
    end
    call('HSET', base .. 'merging', name, number)
  end
  return nil
end

-- Whether a stored job has to wait: for others, or for the result of one like it.
local function waits(job, number)
  local map = job.fields
  local unmet = 0
  for reference, on in string.gmatch(map.after or '', '(%S+):(%a+)') do
    local other = reference
    if string.sub(reference, 1, 1) == '#' then other = format('%012d', first + tonumber(string.sub(reference, 2)) - 1) end
    local state = call('HGET', key(other), 'state') or 'pending'
    local outcome = match(state, '^%a+')
    if outcome == 'completed' or outcome == 'failed' or outcome == 'timeout' or outcome == 'dead'
      or outcome == 'cancelled' or outcome == 'skipped' then
      if not meets(on, outcome) then
        call('HSET', key(number), 'unmet', 1)
        conclude(number, 'skipped', 'ended=' .. stamp .. ' reason=dependency ' .. other .. ' ' .. outcome, true)
        return 'ended'
      end
    else
      unmet = unmet + 1
      call('RPUSH', base .. 'dependants:' .. other, number .. ' ' .. on)
      call('HSET', key(other), 'special', 1)
      if outcome == 'running' and not string.find(state, ' special=', 1, true) then
        call('HSET', key(other), 'state', state .. ' special=1')
      end
    end
  end
  -- Places of this call say nothing to anybody later.
  if map.after and string.find(map.after, '#', 1, true) then
    local names = string.gsub(map.after, '#(%d+)', function(place) return format('%012d', first + place - 1) end)
    call('HSET', key(number), 'after', names)
  end
  if unmet > 0 then
    call('HSET', key(number), 'unmet', unmet)
    return 'waiting'
  end
  if not map.cache then return nil end
  local digest = match(map.cache, '^%S+')
  local kept = call('HMGET', base .. 'cache:' .. digest, 'leader', 'from', 'result')
  if kept[1] then
    call('RPUSH', base .. 'followers:' .. digest, number)
    return 'waiting'
  elseif kept[2] then
    call('HSET', key(number), 'fromCache', kept[2], 'result', kept[3])
    conclude(number, 'completed', 'ended=' .. stamp, true)
    return 'ended'
  end
  call('HSET', base .. 'cache:' .. digest, 'leader', number)
  return nil
end

local answer = { 'created', stamp, first }
local made = 0
for i, job in ipairs(jobs) do
  local number = format('%012d', first + i - 1)
  local outcome = job.special and before(job, number)
  if not outcome then
    local own = promise(job.type)
    call('HSET', key(number), 'created', stamp, unpack(ARGV, job.from, job.to))
    if job.fields and job.fields.largeConfig then
      call('SET', base .. 'config:' .. number, job.fields.largeConfig)
      call('SADD', base .. 'extras', number)
      call('HDEL', key(number), 'largeConfig')
    end
    local waiting = job.special and waits(job, number)
    if waiting == 'waiting' then
      call('HSET', key(number), 'state', 'waiting')
      put('waiting', now, number)
      if job.place == 'held' then put('batch:' .. batch .. ':held', first + i - 1, number) end
    elseif waiting ~= 'ended' then
      if job.place == 'ready' then
        put('ready:' .. job.type, now + (own or job.due), number)
      elseif job.place == 'held' or job.place == 'waiting' then
        call('HSET', key(number), 'state', 'waiting')
        put('waiting', now, number)
        if job.place == 'held' then put('batch:' .. batch .. ':held', first + i - 1, number) end
      else
        if job.place ~= 'delayed' then
          call('HSET', key(number), 'state', job.place == 'idle' and 'idle' or 'scheduled')
        end
        put(job.place, job.place == 'idle' and now or job.due, number)
      end
    end
    note('created', number)
    made = made + 1
    outcome = 'created'
  end
  answer[i + 3] = outcome
end
for set, list in pairs(sets) do
  for from = 1, #list, 4000 do call('ZADD', base .. set, unpack(list, from, math.min(from + 3999, #list))) end
  local type = match(set, '^ready:(.+)$')
  if type then wake(type) end
end
if batch then
  local hash = base .. 'batch:' .. batch
  -- A job that there was already ends elsewhere, and is none of the batch's.
  call('HINCRBY', hash, 'open', made)
  if made < #jobs then call('HINCRBY', hash, 'total', made - #jobs) end
  call('HINCRBY', hash, 'enqueued', #jobs)
  call('ZADD', base .. 'unsealed', 'XX', format('%d', now + 60000), batch)
end
if record_key then
  call('SET', record_key, ARGV[3] .. table.concat(answer, ' ', 2), 'PX', 86400000)
end
finish_up()
return answer
