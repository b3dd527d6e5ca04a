-- What the scripts of a queue share: its time, its moves from set to set, its wake-up markers, its events. Joined in front
-- of every script of this folder.
--
-- KEYS[1] is the beginning of every key of one queue, `qm:jobs:{default}:`; all of them are in one slot. The last of KEYS is
-- the guard, `qm:jobs:{default}:whole`, which never exists: while the slot is being moved, Redis refuses a call that names
-- several keys of which any is missing, so that no script runs on a half of the queue. Jobs are named by their number, 12
-- digits. ARGV[1] is the time (ms) or empty for Redis's own, ARGV[2] the server's run id or empty.
--
-- A job is in exactly one of the sorted sets, by what its `state` begins with:
--   ready:<type>   deadline   pending           delayed    due        pending, retrying
--   leases:<type>  expiry     running           schedules  next slot  scheduled
--   waiting        since      waiting           idle       created    idle (manual)
--   ended          ended      completed, cancelled, skipped
--   dead           ended      failed, timeout, dead
local base = KEYS[1]
local call = redis.call
local format, match = string.format, string.match

local LEASE_MS = 15000
-- Silence of the whole queue after which its workers may have been cut off rather than dead.
local GAP_MS = 5000
local MOST_LOST = 3
local KEPT_ENDED = 10000
local KEPT_HISTORY = 100
local TARGET_MS = { critical = 1000, high = 30000, normal = 300000, low = 3600000 }

local events = {}
-- Notes what happened to a job, for the stream.
local function note(event, number)
  local list = events[event]
  if list then list[#list + 1] = number else events[event] = { number } end
end
-- Writes what was noted: one entry per call, a field per kind of event.
local function publish()
  local entry = { 'XADD', base .. 'events', 'MAXLEN', '~', '10000', '*' }
  local count = #entry
  for event, list in pairs(events) do
    entry[count + 1] = event
    entry[count + 2] = table.concat(list, ' ')
    count = count + 2
  end
  if count > 6 then call(unpack(entry)) end
end

local now
local clock = call('HMGET', base .. 'clock', 'now', 'grace', 'server', 'limit')
local grace = tonumber(clock[2] or 0)
if ARGV[1] == '' then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(ARGV[1])
end
-- A queue is there once it has had a job: whoever asks for another one leaves nothing behind.
local is_new = not clock[1]
if not is_new then
  local last = tonumber(clock[1])
  local other = ARGV[2] ~= '' and clock[3] ~= ARGV[2]
  if now - last > GAP_MS or last - now > GAP_MS or (other and clock[3]) then
    -- Nobody could renew a lease meanwhile: none is over before one more term has passed.
    grace = now + LEASE_MS
    call('HSET', base .. 'clock', 'now', format('%d', now), 'grace', format('%d', grace), 'server', ARGV[2])
  else
    if now < last then now = last end
    if other then
      call('HSET', base .. 'clock', 'now', format('%d', now), 'server', ARGV[2])
    elseif now > last then
      call('HSET', base .. 'clock', 'now', format('%d', now))
    end
  end
end
local stamp = format('%d', now)

-- How many jobs may come after a count before the next one: a limit that is lowered may be passed by as many.
local COUNTED_FOR = 10000
-- How many of `more` jobs that have not ended there may be, of at most `limit` in all. Sets are counted when what the last
-- count left is used up.
local function admitted(more, limit)
  if more == 0 or call('HINCRBY', base .. 'clock', 'room', format('%d', -more)) >= 0 then return more end
  local left = limit
  for _, set in ipairs({ 'delayed', 'schedules', 'waiting', 'idle' }) do left = left - call('ZCARD', base .. set) end
  for _, type in ipairs(call('HKEYS', base .. 'types')) do
    left = left - call('ZCARD', base .. 'ready:' .. type) - call('ZCARD', base .. 'leases:' .. type)
  end
  local may_come = math.max(0, math.min(more, left))
  left = math.max(0, math.min(left, COUNTED_FOR) - may_come)
  call('HSET', base .. 'clock', 'room', format('%d', left))
  return may_come
end

-- Tells every process: `cancel default 000000000042`.
local function tell(word, number)
  local prefix, queue = match(base, '^(.*){(.*)}:$')
  call('PUBLISH', prefix .. 'news', word .. ' ' .. queue .. ' ' .. number)
end

local function key(number) return base .. 'job:' .. number end

-- Wakes one worker of a type, unless a marker is there already.
local woken = {}
local function wake(type)
  if woken[type] then return end
  woken[type] = true
  local marker = base .. 'wake:' .. type
  if call('EXISTS', marker) == 0 then call('LPUSH', marker, '1') end
end

-- Puts a job where workers find it.
local function ready(number, type, score)
  call('ZADD', base .. 'ready:' .. type, format('%d', score), number)
  wake(type)
end

-- What a type promises for the time until a start (ms); false when it leaves that to the priority. Makes it known.
local promises = {}
local function promise(type)
  local ms = promises[type]
  if ms == nil then
    local settings = call('HGET', base .. 'types', type)
    if not settings then call('HSET', base .. 'types', type, '') end
    ms = settings and tonumber(match(settings, 'queueMs=(%d+)')) or false
    promises[type] = ms
  end
  return ms
end

-- What share of a type's promise a job may wait, by its target: the promise holds for all of them, and who has the higher
-- priority is still first.
local SHARE = { [1000] = 0.25, [30000] = 0.5, [300000] = 0.75, [3600000] = 1 }
local function within(promised, target_ms)
  if not promised then return target_ms end
  return math.min(target_ms, math.floor(promised * (SHARE[target_ms] or 1)))
end

-- How long a job may wait for its start.
local function target(type, priority) return within(promise(type), TARGET_MS[priority or 'normal']) end

-- What a job keeps of its state while it waits: how often it was tried, lost and moved.
local function carried(state)
  local kept = ''
  if not state then return kept end
  for _, name in ipairs({ 'attempt', 'lost', 'lostAt', 'moved' }) do
    local value = match(state, ' ' .. name .. '=(%d+)')
    if value and value ~= '0' then kept = kept .. ' ' .. name .. '=' .. value end
  end
  return kept
end

-- Makes a job runnable that was not: it is to start within its target from now on.
local function begin(number)
  local job = call('HMGET', key(number), 'type', 'priority', 'state')
  if not job[1] then return end
  local kept = carried(job[3])
  if kept == '' then
    call('HDEL', key(number), 'state')
  else
    call('HSET', key(number), 'state', 'pending' .. kept)
  end
  ready(number, job[1], now + target(job[1], job[2]))
end

-- Gives a job its config: a large one has a key of its own, so that the hash stays in one piece.
local function put_config(number, small, large)
  if large then
    call('HDEL', key(number), 'config')
    call('SET', base .. 'config:' .. number, large)
    call('SADD', base .. 'extras', number)
  else
    call('HSET', key(number), 'config', small or '{}')
    call('DEL', base .. 'config:' .. number)
  end
end

-- Takes a job out of where it waits; the set and its score there, nil when it waits nowhere.
local function withdraw(number, type)
  for _, set in ipairs({ 'ready:' .. type, 'delayed', 'waiting', 'schedules', 'idle' }) do
    local score = call('ZSCORE', base .. set, number)
    if score then
      call('ZREM', base .. set, number)
      return set, tonumber(score)
    end
  end
end

-- Moves what is due from `delayed` to where workers find it, at most `most`.
local function promote(most)
  local due = call('ZRANGEBYSCORE', base .. 'delayed', '-inf', stamp, 'WITHSCORES', 'LIMIT', 0, most)
  if #due == 0 then return end
  local gone = {}
  local added = {}
  for i = 1, #due, 2 do
    local number = due[i]
    gone[#gone + 1] = number
    local job = call('HMGET', key(number), 'type', 'priority')
    local type = job[1]
    if type then
      local list = added[type]
      if not list then
        list = {}
        added[type] = list
      end
      list[#list + 1] = format('%d', due[i + 1] + target(type, job[2]))
      list[#list + 1] = number
    end
  end
  call('ZREM', base .. 'delayed', unpack(gone))
  for type, list in pairs(added) do
    call('ZADD', base .. 'ready:' .. type, unpack(list))
    wake(type)
  end
end

-- Forgets jobs: their hashes, and what those have beside them that say so in `extras`.
local function remove(numbers)
  if #numbers == 0 then return end
  local extras = call('SMISMEMBER', base .. 'extras', unpack(numbers))
  local names, more = {}, {}
  for i, number in ipairs(numbers) do
    names[i] = key(number)
    if extras[i] == 1 then
      more[#more + 1] = base .. 'history:' .. number
      more[#more + 1] = base .. 'config:' .. number
      call('SREM', base .. 'extras', number)
    end
  end
  call('UNLINK', unpack(names))
  if #more > 0 then call('UNLINK', unpack(more)) end
end

-- Keeps the newest of a set of ended jobs and forgets the others, at most 1000 in a call.
local function trim(set, most)
  local over = call('ZCARD', set) - most
  if over <= 0 then return end
  over = math.min(over, 1000)
  remove(call('ZRANGE', set, 0, over - 1))
  call('ZREMRANGEBYRANK', set, 0, over - 1)
end

-- The end of an execution as a line of the job's history.
local function remember(number, line)
  local history = base .. 'history:' .. number
  if call('RPUSH', history, line) == 1 then call('SADD', base .. 'extras', number) end
  call('LTRIM', history, -KEPT_HISTORY, -1)
end
