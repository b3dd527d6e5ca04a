#!lua
-- Tells an event of the stock to everybody, once, and lists the alert that it is about.
--
-- KEYS    [1] `qm:{stock-events}`, stream with a field `event` (JSON); [2] `…:told`, sorted set of ids by when they were told
--         (ms); [3] `…:alerts`, sorted set of `SKU~warehouse` by their last change (ms); [4] `…:escalations`, the same by when
--         somebody must have seen them
-- ARGV    [1] the event; [2] its id; [3] when it happened (ms); [4] `SKU~warehouse`, or empty if it is no alert; [5] when the
--         alert is to be told again (ms), or empty if not
-- RETURNS 1 if it was told now, 0 if it had been
-- EFFECTS the stream keeps about 10,000 events, the ids a day
-- COST    O(log n)
local call = redis.call
if call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[2]) == 0 then return 0 end
call('XADD', KEYS[1], 'MAXLEN', '~', 10000, '*', 'event', ARGV[1])
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%d', ARGV[3] - 86400000))
if ARGV[4] ~= '' then
  call('ZADD', KEYS[3], ARGV[3], ARGV[4])
  if ARGV[5] ~= '' then call('ZADD', KEYS[4], ARGV[5], ARGV[4]) else call('ZREM', KEYS[4], ARGV[4]) end
end
return 1
