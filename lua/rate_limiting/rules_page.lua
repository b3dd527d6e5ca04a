#!lua flags=no-writes
-- Reads some rules, as many as make a reply of a size that is quickly read.
-- KEYS    1 hash of rules (id: rule as JSON)
-- ARGV    ids of rules
-- RETURNS per id, from the first on: JSON, or '' when there is no such rule; at least one, and no more once they are
--         256 KiB together
-- EFFECTS none
-- COST    O(rules returned)
local reply, bytes = {}, 0
for i = 1, #ARGV do
  local rule = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  reply[i] = rule
  bytes = bytes + #rule
  if bytes > 262144 then break end
end
return reply
