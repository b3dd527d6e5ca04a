#!lua flags=no-writes
-- Tells when the first thing in each of several sets is due, so that nobody looks for what is not.
--
-- KEYS    [n] `qm:stock-due:{n}` and the like, sorted sets by when something is due (ms)
-- ARGV    [1] now in ms or empty
-- RETURNS {now, when the first one of each set is due, or empty}
-- EFFECTS none
-- COST    O(n), n the sets
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
end
local answer = { now }
for i, name in ipairs(KEYS) do
  answer[i + 1] = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2] or ''
end
return answer
