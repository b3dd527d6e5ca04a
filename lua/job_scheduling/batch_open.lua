-- Opens a batch: its jobs are enqueued as held until it is sealed. Joined behind queue.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, batch, name, how many jobs, callback (job) or empty
-- RETURNS `open`, or what it is already: `releasing`, `dropping`, `sealed`
-- EFFECTS the batch's hash; `unsealed`, by when it is dropped unless it goes on
-- COST    O(log m) for m open batches
local hash = base .. 'batch:' .. ARGV[3]
local state = call('HGET', hash, 'state')
if state and call('HEXISTS', hash, 'total') == 1 then return state end
call('HSET', hash, 'state', 'open', 'name', ARGV[4], 'total', ARGV[5], 'created', stamp, 'open', 0, 'enqueued', 0)
if ARGV[6] ~= '' then
  call('HSET', hash, 'callback', ARGV[6])
  call('HSET', key(ARGV[6]), 'awaits', ARGV[3])
end
call('ZADD', base .. 'unsealed', format('%d', now + 60000), ARGV[3])
return 'open'
