#!lua flags=allow-oom
-- Ends a job that has not ended: at once when it waits, by telling its worker when it runs. Joined behind take.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, job, reason
-- RETURNS `cancelled`, `cancelling` (it runs; its worker is told), `ended` (it had ended) or `gone`
-- EFFECTS the job's state and set; what its end leads to; publishes `cancel <queue> <job>` on `<prefix>jobs:news`
-- COST    O(log m) for m jobs, and what its end leads to
local number = ARGV[3]
number = call('HGET', key(number), 'mergedInto') or number
local job = call('HMGET', key(number), 'type', 'state', 'special')
if not job[1] then return 'gone' end
local state = job[2] or 'pending'
local word = match(state, '^%a+')
local line = 'ended=' .. stamp .. ' reason=' .. ARGV[4]
if word == 'running' then
  if not match(state, ' cancelled=') then
    call('HSET', key(number), 'state', state .. ' cancelled=' .. stamp)
    call('ZADD', base .. 'leases:' .. job[1], 'XX', 'LT', format('%d', now + LEASE_MS), number)
    tell('cancel', number)
    note('cancelling', number)
  end
  finish_up()
  return 'cancelling'
end
if not withdraw(number, job[1]) then
  finish_up()
  return 'ended'
end
local attempts = match(state, 'attempt=%d+')
conclude(number, 'cancelled', attempts and attempts .. ' ' .. line or line, job[3])
finish_up()
return 'cancelled'
