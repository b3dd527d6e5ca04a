#!lua flags=allow-oom
-- Has somebody look after something in a while, should whoever is at it die; nothing is to be done that nobody could finish,
-- so this is done with no memory left, too.
--
-- KEYS    [1] `qm:order-due:{n}`, sorted set of ids of orders by when (ms)
-- ARGV    [1] now in ms or empty; [2] in how many ms; [3] the id
-- RETURNS `done`
-- EFFECTS the id is in the set; an earlier time stays
-- COST    O(log n)
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('ZADD', KEYS[1], 'LT', string.format('%d', now + ARGV[2]), ARGV[3])
return 'done'
