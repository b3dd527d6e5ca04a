-- Counts the live replicas and keeps the caller among them.
-- KEYS    1 sorted set of replicas (member: replica id, score: last sign of life, ms)
-- ARGV    1 replica id   2 ms of silence after which a replica no longer counts
-- RETURNS the number of live replicas
-- EFFECTS adds or renews the caller; drops the silent; the set itself expires with the last of them
-- COST    O(log n + dropped)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%d', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
