-- Writes back the rules that a replica still knows, where Redis has lost all of them.
-- KEYS    1 hash of rules (id: rule as JSON)   2 revision   3 stream of changes
--         4 hash of applied rule files (digest: time, s)
-- ARGV    1 revision to go on from, above all that any replica may know   2 channel   3 digest of the replica's rule file,
--         or ''   then per rule: id, JSON
-- RETURNS 'restored' | 'there': there are rules, by somebody else's hand
-- EFFECTS when restored: the rules, the revision, one stream entry that tells the revision only, the digest; publishes the
--         revision
-- COST    O(rules)
if redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'revision', ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[4], ARGV[3], redis.call('TIME')[1]) end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 'restored'
