#!lua flags=no-writes
-- Reads what has changed since a revision that the caller knows, or, where nobody can tell, which rules there are.
-- KEYS    1 hash of rules (id: rule as JSON)   2 revision   3 stream of changes
-- ARGV    1 known revision, or ''   2 id of the stream's entry that the caller knows last
-- RETURNS {revision that the reply reaches to, id of that revision's entry, now (µs), newest revision, rules there are,
--         then 'changes' and per change: id, JSON ('' when the rule was deleted), in order, as many as fit;
--         or 'ids' and the id of every rule}
-- EFFECTS none
-- COST    O(changes), or O(rules)
local most_bytes = 262144
local revision = tonumber(redis.call('GET', KEYS[2]) or 0)
local time = redis.call('TIME')
local now, count = time[1] * 1000000 + time[2], redis.call('HLEN', KEYS[1])

-- The stream tells the changes only if it has an entry for each revision since, and each with its parts.
local function changes(at, last)
  local reply, bytes = {at, last, now, revision, count, 'changes'}, 0
  while at < revision do
    local entry = redis.call('XRANGE', KEYS[3], '(' .. last, '+', 'COUNT', 1)[1]
    if not entry or entry[2][2] ~= string.format('%d', at + 1) or #entry[2] < 8 then return nil end
    if bytes > most_bytes then break end
    at, last = at + 1, entry[1]
    for i = 3, #entry[2], 6 do
      reply[#reply + 1], reply[#reply + 2] = entry[2][i + 3], entry[2][i + 5]
      bytes = bytes + #entry[2][i + 5]
    end
  end
  reply[1], reply[2] = at, last
  return reply
end

local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
newest = newest and newest[1] or '0-0'
local known = tonumber(ARGV[1])
if known and (known < revision or known == revision and newest == ARGV[2]) then
  local reply = changes(known, ARGV[2])
  if reply then return reply end
end
local reply = redis.call('HKEYS', KEYS[1])
for i = #reply, 1, -1 do reply[i + 6] = reply[i] end
reply[1], reply[2], reply[3], reply[4], reply[5], reply[6] = revision, newest, now, revision, count, 'ids'
return reply
