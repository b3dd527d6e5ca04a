-- Lists the name of a queue before it has its first job.
-- KEYS    1 set of the queues' names
-- ARGV    1 name  2 how many queues there may be
-- RETURNS `known`, `added`, or `full`
-- EFFECTS the set
-- COST    O(1)
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 'known' end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 'full' end
redis.call('SADD', KEYS[1], ARGV[1])
return 'added'
