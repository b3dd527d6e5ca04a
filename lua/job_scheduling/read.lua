#!lua flags=no-writes
-- Reads jobs whole.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    jobs
-- RETURNS per job a list: its number, when it is due next (ms, empty when nothing is), fields and values of its hash (none
--         when there is no such job)
-- EFFECTS none
-- COST    O(n log m) for n jobs, at most 1000
local base = KEYS[1]
local answer = {}
for i, number in ipairs(ARGV) do
  local fields = redis.call('HGETALL', base .. 'job:' .. number)
  local due = redis.call('ZSCORE', base .. 'schedules', number) or redis.call('ZSCORE', base .. 'delayed', number) or ''
  if #fields > 0 and redis.call('EXISTS', base .. 'config:' .. number) == 1 then
    fields[#fields + 1] = 'config'
    fields[#fields + 1] = redis.call('GET', base .. 'config:' .. number)
  end
  answer[i] = { number, due, unpack(fields) }
end
return answer
