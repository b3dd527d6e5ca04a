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

-- A job may be known under another number, into which it was merged.
local function alias(number) return call('HGET', key(number), 'mergedInto') or number end

-- Nothing is written before every job is known to be possible.
for i, job in ipairs(jobs) do
  if job.special then
    with_ends()
    job.fields = fields(job)
    for reference in string.gmatch(job.fields.after or '', '(%S+):%a+') do
      if string.sub(reference, 1, 1) ~= '#' then
        local other = call('HMGET', key(alias(reference)), 'type', 'awaits')
        if not other[1] then return { 'refused', i, 'unknown-dependency', reference } end
        -- The callback of a batch waits for its jobs, so none of them can wait for it.
        if batch and other[2] == batch then return { 'refused', i, 'unknown-dependency', reference } end
      end
    end
    for pool, amount in rare.units(job.fields.needs or '') do
      if tonumber(amount) > tonumber(call('HGET', base .. 'pools', pool) or 0) then
        return { 'refused', i, 'impossible-demand', pool }
      end
    end
  end
end

if admitted(#jobs, tonumber(ARGV[5])) < #jobs then return { 'refused', 1, 'full', ARGV[5] } end
if is_new then call('HSET', base .. 'clock', 'now', stamp, 'server', ARGV[2]) end
if clock[4] ~= ARGV[5] then call('HSET', base .. 'clock', 'limit', ARGV[5]) end
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

-- The job that each of the call's numbers stands for, where it is another one; the call's own jobs that are stored.
local others, mine = {}, {}

-- Gives a job that waits the config of a newer one.
local function take_over(waiting, map)
  local own = mine[waiting]
  if own then
    -- It is stored afterwards.
    own.config, own.largeConfig, own.cache = map.config, map.largeConfig, map.cache
    own.taken_over = true
    return
  end
  local old = call('HMGET', key(waiting), 'cache', 'version')
  local digest = old[1] and match(old[1], '^%S+')
  if digest and call('HGET', base .. 'leads', digest) == waiting then
    -- Others wait for the result of what it was to do before.
    call('HDEL', base .. 'leads', digest)
    rare.follow(digest)
  end
  put_config(waiting, map.config, map.largeConfig)
  if map.cache then call('HSET', key(waiting), 'cache', map.cache) else call('HDEL', key(waiting), 'cache') end
  call('HSET', key(waiting), 'version', tonumber(old[2] or 1) + 1, 'special', 1)
end

-- What becomes of a job that there is already: a word for the answer; nil when it is stored.
local function before(job, number)
  local map = job.fields
  local own = map.unique and base .. 'unique:' .. map.unique
  if own then
    local holder = call('GET', own)
    -- Without a time of its own, a key is its job's.
    if holder and (mine[holder] or call('EXISTS', key(holder)) == 1 or call('PTTL', own) > 0) then
      others[number] = holder
      return 'existing ' .. holder
    end
  end
  local strategy, name = match(map.conflict or '', '^(%S+) %d+ (.+)$')
  if strategy == 'merge' then
    local mark = job.type .. ' ' .. name
    local waiting = call('HGET', base .. 'merging', mark)
    -- Only one that would run as soon as this one takes its config.
    local runs_as_soon = (job.place == 'ready' or job.place == 'held') and not map.after
    if waiting and runs_as_soon and (mine[waiting] or call('ZSCORE', base .. 'ready:' .. job.type, waiting)
      or call('ZSCORE', base .. 'parked:' .. name, waiting)) then
      take_over(waiting, map)
      call('HSET', key(number), 'mergedInto', waiting, 'type', job.type, 'created', stamp)
      call('ZADD', base .. 'ended', stamp, number)
      others[number] = waiting
      return 'merged ' .. waiting
    end
    if runs_as_soon and job.place == 'ready' then call('HSET', base .. 'merging', mark, number) end
  end
  if own then
    if map.uniqueMs then call('SET', own, number, 'PX', map.uniqueMs) else call('SET', own, number) end
  end
  mine[number] = map
end

-- What a job waits for, each by the number of the job that it stands for.
local function resolved(after)
  return (string.gsub(after, '(%S+):(%a+)', function(reference, on)
    local place = match(reference, '^#(%d+)$')
    local other = place and format('%012d', first + tonumber(place) - 1) or reference
    return (others[other] or alias(other)) .. ':' .. on
  end))
end

-- Whether a stored job has to wait: for others, for its batch, for the result of one like it; or has ended.
local function waits(job, number)
  local map = job.fields
  if map.after then
    local after = resolved(map.after)
    if after ~= map.after then call('HSET', key(number), 'after', after) end
    local waiting = rare.depend(number, after)
    if waiting then
      if job.place == 'delayed' or job.place == 'schedules' or job.place == 'idle' then
        call('HSET', key(number), 'later', job.place .. ' ' .. format('%d', job.due))
      end
      return waiting
    end
  end
  if job.place ~= 'ready' or not map.cache then return nil end
  local digest = match(map.cache, '^%S+')
  local kept = call('HMGET', base .. 'cache:' .. digest, 'from', 'result')
  if kept[1] then
    call('HSET', key(number), 'fromCache', kept[1], 'result', kept[2])
    conclude(number, 'completed', 'ended=' .. stamp, true)
    return 'ended'
  end
  if call('HEXISTS', base .. 'leads', digest) == 0 then return nil end
  call('ZADD', base .. 'alike:' .. digest, number, number)
  return 'waiting'
end

-- Stores a job and puts it where it belongs.
local function store(job, number)
  call('HSET', key(number), 'created', stamp, unpack(ARGV, job.from, job.to))
  local map = job.fields
  if map and (map.largeConfig or map.taken_over) then
    call('HDEL', key(number), 'largeConfig', 'cache')
    put_config(number, map.config, map.largeConfig)
    if map.cache then call('HSET', key(number), 'cache', map.cache) end
  end
  if job.place == 'delayed' and job.due <= now then
    -- It could start from now on, not before it was there.
    job.place, job.due = 'ready', TARGET_MS[(map or fields(job)).priority or 'normal']
  end
  local waiting = job.special and waits(job, number)
  if waiting == 'ended' then return end
  if job.place == 'ready' and not waiting then
    put('ready:' .. job.type, now + within(promise(job.type), job.due), number)
  elseif waiting or job.place == 'held' or job.place == 'waiting' then
    call('HSET', key(number), 'state', 'waiting')
    put('waiting', now, number)
    if job.place == 'held' then put('batch:' .. batch .. ':held', tonumber(number), number) end
  else
    if job.place ~= 'delayed' then call('HSET', key(number), 'state', job.place == 'idle' and 'idle' or 'scheduled') end
    put(job.place, job.place == 'idle' and now or job.due, number)
  end
  if map and map.awaits then
    -- Should the batch never come, it is dropped like one that is not completed.
    call('HSET', base .. 'batch:' .. map.awaits, 'state', 'open', 'callback', number)
    call('ZADD', base .. 'unsealed', format('%d', now + 60000), map.awaits)
  end
end

local answer = { 'created', stamp, first }
local made = 0
-- First which of them are others, so that whoever waits for one waits for the right one.
for i, job in ipairs(jobs) do
  if job.special then answer[i + 3] = before(job, format('%012d', first + i - 1)) end
end
for i, job in ipairs(jobs) do
  if not answer[i + 3] then
    local number = format('%012d', first + i - 1)
    promise(job.type)
    store(job, number)
    note('created', number)
    made = made + 1
    answer[i + 3] = 'created'
  end
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
