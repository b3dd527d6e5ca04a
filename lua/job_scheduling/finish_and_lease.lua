#!lua flags=allow-oom
-- Ends executions of a worker and leases it the next jobs, either of which may be none. Joined behind take.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, worker, number of the call (decimal; a repeat of the worker's last call gets the same jobs), how
--         many jobs to lease at most (0 to 1000), how many types, the types; then per ended execution: job, token,
--         type (empty when it is not known), outcome (`completed`, `failed`, `permanent`, `timeout`, `cancelled`, `released`), result (JSON) or error, not to
--         be tried again within (ms, or empty), jitter (0 to 1000)
-- RETURNS now, when something is due next (ms, 0 for nothing known), how many executions were ended, for each `ok`,
--         `stale` or `gone`; then for each leased job: job, token, attempt, type, config, timeout (ms or empty), trace
-- EFFECTS what finish, retry, release and lease write: states, sets, history, results, held jobs, events
-- COST    O(n log m) for n ended and leased jobs among m, and at most 200 that are due, 50 expired per type, 500 dependants
local worker = ARGV[3]
local most, type_count = tonumber(ARGV[5]), tonumber(ARGV[6])
local types = {}
for i = 1, type_count do types[i] = ARGV[6 + i] end
local results = {}
local unleased, unheld = {}, {}

-- What a type promises for the time of a run; the outcomes of types that promise anything are counted.
local run_promises = {}
local function judge(type, number, state, outcome)
  local settings = run_promises[type]
  if settings == nil then
    settings = call('HGET', base .. 'types', type) or ''
    run_promises[type] = settings
  end
  if settings == '' then return end
  local promised = tonumber(match(settings, 'runMs=(%d+)'))
  local took = now - match(state, 'started=(%d+)')
  if promised and took > promised then
    with_ends()
    rare.violated(type, number, 'run', took, promised)
  end
  call('HINCRBY', base .. 'sla:' .. type, outcome == 'completed' and 'succeeded' or 'failed', 1)
end

-- Whether this end of an execution that is not running was accepted before, its reply lost: `ok`. Another end than the
-- accepted one is `stale`: what it says would be lost, and whoever says it is to know.
local ENDED_AS = { completed = 'completed', failed = 'failed', permanent = 'failed', timeout = 'timeout' }
local function ended_before(number, state, token, outcome)
  local word, last = match(state, '^(%a+) token=(%d+)')
  if last ~= token or word == 'retrying' then
    word, last = match(call('LINDEX', base .. 'history:' .. number, -1) or '', '^(%a+) token=(%d+)')
    if last ~= token then return 'stale' end
  end
  -- Of one that was handed back nothing was kept, nor of one that was cancelled unless it was done all the same.
  if word == 'released' or word == 'preempted' then
    return (outcome == 'released' or outcome == 'cancelled') and 'ok' or 'stale'
  end
  if word == 'cancelled' then return outcome ~= 'completed' and 'ok' or 'stale' end
  return word == ENDED_AS[outcome] and 'ok' or 'stale'
end

local function finish(number, token, type, outcome, text, retry_after, jitter)
  local name = key(number)
  local state = call('HGET', name, 'state')
  if not state then return call('EXISTS', name) == 1 and 'stale' or 'gone' end
  local head = 'running token=' .. token .. ' '
  if string.sub(state, 1, #head) ~= head then return ended_before(number, state, token, outcome) end
  if type == '' then type = call('HGET', name, 'type') end
  local special = string.find(state, ' special=', 1, true)
  local list = unleased[type]
  if not list then
    list = {}
    unleased[type] = list
  end
  list[#list + 1] = number
  unheld[#unheld + 1] = number
  local cancelled = string.find(state, ' cancelled=', 1, true)
  if outcome == 'cancelled' and not cancelled then outcome = 'released' end
  if outcome == 'released' and not cancelled then
    give_back(number, type, state, match(state, ' preempted=') and 'preempted' or 'released')
    return 'ok'
  end
  if special then
    with_ties()
    rare.free(number, rare.ties(number))
  end
  judge(type, number, state, outcome)
  local line = string.sub(state, 9) .. ' ended=' .. stamp
  if outcome == 'completed' then
    if text ~= '' then call('HSET', name, 'result', text) end
    conclude(number, 'completed', line, special)
  elseif cancelled then
    conclude(number, 'cancelled', line, special)
  else
    with_rules()
    rare.fail(number, line, state, outcome, text, special, retry_after, jitter)
  end
  return 'ok'
end

for at = 7 + type_count, #ARGV, 7 do
  results[#results + 1] =
    finish(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
end
for type, list in pairs(unleased) do call('ZREM', base .. 'leases:' .. type, unpack(list)) end
if #unheld > 0 then
  call('SREM', base .. 'held:' .. worker, unpack(unheld))
  -- Room has been made: for types that had none, and for jobs that a pool had none for.
  for _, type in ipairs(call('SPOP', base .. 'blocked', 100)) do wake(type) end
end

-- The jobs that the same call was given before, as far as it still has them.
local function given_before(list)
  local given = {}
  for number, token in string.gmatch(list, '(%d+):(%d+)') do
    local job = call('HMGET', key(number), 'state', 'type', 'config', 'timeout', 'trace')
    if job[1] and match(job[1], '^running token=(%d+)') == token then
      local at = #given
      given[at + 1], given[at + 2], given[at + 3], given[at + 4] = number, token, match(job[1], 'attempt=(%d+)'), job[2]
      given[at + 5] = job[3] or call('GET', base .. 'config:' .. number) or '{}'
      given[at + 6], given[at + 7] = job[4] or '', job[5] or ''
    end
  end
  return given
end

local given, resume = {}, nil
if most > 0 then
  local record = base .. 'worker:' .. worker
  local last = call('HMGET', record, 'call', 'given')
  -- A call that was given nothing has lost nothing: when it comes again, it takes.
  if last[1] == ARGV[4] and last[2] and last[2] ~= '' then
    given = given_before(last[2])
  else
    given, resume = take(worker, most, types)
    local names = {}
    for i = 1, #given, 7 do names[#names + 1] = given[i] .. ':' .. given[i + 1] end
    if #names > 0 or last[2] then
      call('HSET', record, 'call', ARGV[4], 'given', table.concat(names, ' '))
      call('PEXPIRE', record, 60000)
    end
  end
end
finish_up()
local due = left_over and now or resume or 0
if most == 0 or #given < 7 * most then
  local head = call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')[2]
  if head and (due == 0 or tonumber(head) < due) then due = tonumber(head) end
end
local answer = { stamp, format('%d', due), #results, unpack(results) }
local at = #answer
for i = 1, #given do answer[at + i] = given[i] end
return answer
