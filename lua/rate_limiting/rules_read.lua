#!lua flags=no-writes
-- Reads all rules at one revision.
-- KEYS    1 hash of rules (id: rule as JSON)   2 revision   3 stream of changes
-- ARGV    none
-- RETURNS {revision, id of the stream's last entry, now (µs), then per rule: id, JSON}
-- EFFECTS none
-- COST    O(rules)
local reply = {tonumber(redis.call('GET', KEYS[2]) or 0), '0-0'}
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
if last then reply[2] = last[1] end
local time = redis.call('TIME')
reply[3] = time[1] * 1000000 + time[2]
local rules = redis.call('HGETALL', KEYS[1])
for i = 1, #rules do reply[i + 3] = rules[i] end
return reply
