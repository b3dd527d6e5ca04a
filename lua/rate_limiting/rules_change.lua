-- Changes rules in one step: all of the changes, or none.
-- KEYS    1 hash of rules (id: rule as JSON)   2 revision   3 stream of changes
--         4 hash of applied rule files (digest: time, s)   5 record of an answer under an idempotency key
-- ARGV    1 revision at which the changes were decided   2 channel   3 changes kept in the stream
--         4 digest of the rule file, or ''   5 answer to record, or ''   6 how long the record is kept, ms
--         then per change: 'put' | 'delete', rule id, JSON ('' for delete)
-- RETURNS {'changed', new revision} | {'stale', revision}: somebody else was faster | {'already-applied', revision}
--         | {'answered', revision}: there is a record under the key
-- EFFECTS when changed: the rules, revision + 1, one stream entry (revision, then per change op, id, rule), the record,
--         the digest; publishes the new revision
-- COST    O(changes)
local revision = tonumber(redis.call('GET', KEYS[2]) or 0)
if ARGV[5] ~= '' and redis.call('EXISTS', KEYS[5]) == 1 then return {'answered', revision} end
if ARGV[4] ~= '' and redis.call('HEXISTS', KEYS[4], ARGV[4]) == 1 then return {'already-applied', revision} end
if revision ~= tonumber(ARGV[1]) then return {'stale', revision} end

local changed = string.format('%d', revision + 1)
local entry = {'XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'revision', changed}
for i = 7, #ARGV, 3 do
  local op, id, rule = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if op == 'delete' then redis.call('HDEL', KEYS[1], id) else redis.call('HSET', KEYS[1], id, rule) end
  -- A file may hold thousands of rules, a Lua call takes fewer arguments: such a change is told without its parts.
  if #ARGV <= 3000 then
    for _, word in ipairs({'op', op, 'id', id, 'rule', rule}) do entry[#entry + 1] = word end
  end
end
redis.call('SET', KEYS[2], changed)
redis.call(unpack(entry))
if ARGV[4] ~= '' then
  -- The latest hundred contents are enough to know a fleet's restarts by.
  local applied, oldest = redis.call('HGETALL', KEYS[4]), 1
  for i = 3, #applied, 2 do
    if tonumber(applied[i + 1]) < tonumber(applied[oldest + 1]) then oldest = i end
  end
  if #applied >= 200 then redis.call('HDEL', KEYS[4], applied[oldest]) end
  redis.call('HSET', KEYS[4], ARGV[4], redis.call('TIME')[1])
end
if ARGV[5] ~= '' then redis.call('SET', KEYS[5], ARGV[5], 'PX', ARGV[6]) end
redis.call('PUBLISH', ARGV[2], changed)
return {'changed', revision + 1}
