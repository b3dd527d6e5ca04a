#!lua flags=allow-oom
-- Renews the leases of a worker, tells it which executions to end, and takes back what it does not know of. Joined behind
-- take.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, worker, `all` (it has no executions but these) or `some` (others of its name may have more), what the
--         worker says of itself (fields and values, their count first), then per execution: job, token, progress (JSON or
--         empty)
-- RETURNS per execution `ok`, `cancel`, `preempt`, `stale` or `gone`
-- EFFECTS leases, progress; one that takes longer than its timeout, of which its worker tells nothing, ends; `workers`, `worker:<id>`; given back: states, queue, history
-- COST    O(n log m) for n executions of m
local MOST_WORKERS = 10000
local worker = ARGV[3]
local answers, known, renewed = {}, {}, {}
local words = tonumber(ARGV[5])
for at = 6 + words, #ARGV, 3 do
  local number = ARGV[at]
  known[number] = true
  local job = call('HMGET', key(number), 'type', 'state')
  local answer = 'stale'
  if not job[1] then
    answer = 'gone'
  elseif match(job[2] or '', '^running token=(%d+)') == ARGV[at + 1] then
    local until_ms = tonumber(match(job[2], ' until=(%d+)'))
    local cancelled = tonumber(match(job[2], ' cancelled=(%d+)'))
    local expiry = now + LEASE_MS
    if cancelled then expiry = math.min(expiry, cancelled + LEASE_MS) end
    if until_ms and not cancelled and now > until_ms + OVERRUN_MS then
      -- Its worker lives, and does not end it.
      with_rules()
      local special = string.find(job[2], ' special=', 1, true)
      if special then rare.free(number, rare.ties(number)) end
      call('ZREM', base .. 'leases:' .. job[1], number)
      call('SREM', base .. 'held:' .. worker, number)
      rare.fail(number, string.sub(job[2], 9) .. ' ended=' .. stamp, job[2], 'timeout', 'it took longer than its timeout', special,
        '', 500)
    else
      local list = renewed[job[1]]
      if not list then
        list = {}
        renewed[job[1]] = list
      end
      list[#list + 1] = format('%d', expiry)
      list[#list + 1] = number
      if ARGV[at + 2] ~= '' then call('HSET', key(number), 'progress', ARGV[at + 2]) end
      answer = cancelled and 'cancel' or (match(job[2], ' preempted=') and 'preempt' or 'ok')
    end
  end
  answers[#answers + 1] = answer
end
for type, list in pairs(renewed) do call('ZADD', base .. 'leases:' .. type, 'XX', unpack(list)) end

-- A lease whose reply was lost would be nobody's until it is over. Of a name that several threads share nobody knows all.
for _, number in ipairs(ARGV[4] == 'all' and call('SMEMBERS', base .. 'held:' .. worker) or {}) do
  if not known[number] then
    local job = call('HMGET', key(number), 'type', 'state')
    local started = tonumber(match(job[2] or '', '^running .*started=(%d+)'))
    if not started or match(job[2], 'worker=(%S+)') ~= worker then
      call('SREM', base .. 'held:' .. worker, number)
    elseif now - started > 5000 then
      call('SREM', base .. 'held:' .. worker, number)
      call('ZREM', base .. 'leases:' .. job[1], number)
      give_back(number, job[1], job[2], 'released')
    end
  end
end
-- Names that are made up leave nothing behind in a queue that is none, and only so many in one that is.
local is_listed = not is_new
  and (call('ZSCORE', base .. 'workers', worker) or call('ZCARD', base .. 'workers') < MOST_WORKERS)
if is_listed then call('ZADD', base .. 'workers', stamp, worker) end
if is_listed and words > 0 then
  call('HSET', base .. 'worker:' .. worker, 'seen', stamp, unpack(ARGV, 6, 5 + words))
  call('PEXPIRE', base .. 'worker:' .. worker, 60000)
end
finish_up()
return answers
