#!lua flags=no-writes
-- Reads the figures of a queue.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now (ms) or empty
-- RETURNS now, paused since (ms or empty), delayed, waiting, schedules, idle, ended, dead, how many totals and those
--         (name, count), then per type: name, settings, ready, leased, head's deadline (ms or empty), missed promises
-- EFFECTS none
-- COST    O(log m) per type of m jobs
local base = KEYS[1]
local call = redis.call
local now = ARGV[1]
if now == '' then
  local time = call('TIME')
  now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
end
local answer = { now, call('HGET', base .. 'settings', 'paused') or '' }
for _, set in ipairs({ 'delayed', 'waiting', 'schedules', 'idle', 'ended', 'dead' }) do
  answer[#answer + 1] = call('ZCARD', base .. set)
end
local totals = call('HGETALL', base .. 'totals')
answer[#answer + 1] = #totals
for _, word in ipairs(totals) do answer[#answer + 1] = word end
local types = call('HGETALL', base .. 'types')
for i = 1, #types, 2 do
  local ready = base .. 'ready:' .. types[i]
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = types[i], types[i + 1], call('ZCARD', ready)
  answer[at + 4] = call('ZCARD', base .. 'leases:' .. types[i])
  answer[at + 5] = call('ZRANGE', ready, 0, 0, 'WITHSCORES')[2] or ''
  answer[at + 6] = call('ZCOUNT', ready, '-inf', now)
end
return answer
