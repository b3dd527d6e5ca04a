#!lua flags=allow-oom
-- Keeps a process that works among those that do, with what it says of itself; forgets those silent for a minute.
-- KEYS    1 sorted set of processes by their last word (ms)  2 hash of this one
-- ARGV    its name, then fields and values
-- RETURNS how many processes work
-- EFFECTS both keys; the hash lives for a minute
-- COST    O(log n + forgotten)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%d', now)
redis.call('ZADD', KEYS[1], stamp, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', now - 60000))
redis.call('HSET', KEYS[2], 'seen', stamp, unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[2], 60000)
return redis.call('ZCARD', KEYS[1])
