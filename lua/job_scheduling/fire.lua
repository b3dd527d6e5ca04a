-- Makes the runs of a schedule whose slot has come. Joined behind runs.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, schedule (job), the slot that it is at (ms), its next slot (ms, 0 for none), how many slots were
--         left out, how many jobs that have not ended the queue may have, then the slots to run (ms); those for which there
--         is no room are left out as well
-- RETURNS `fired` and the runs' numbers, or `taken` (another replica was first)
-- EFFECTS runs and their sets, the schedule's next slot, events
-- COST    O(n log m) for n slots, at most 100
with_ends()
local schedule, next_slot = ARGV[3], ARGV[5]
if call('ZSCORE', base .. 'schedules', schedule) ~= ARGV[4] then return { 'taken' } end
local map, copied = read_schedule(schedule)
local answer = { 'fired' }
local left_out = tonumber(ARGV[6])
local may_come = admitted(#ARGV - 7, tonumber(ARGV[7]))
for i = 8, #ARGV do
  local number = i < 8 + may_come and spawn(schedule, map, copied, ARGV[i])
  if number then answer[#answer + 1] = number else left_out = left_out + 1 end
end
if next_slot == '0' then
  call('ZREM', base .. 'schedules', schedule)
  conclude(schedule, 'completed', 'ended=' .. stamp, map.special)
else
  call('ZADD', base .. 'schedules', next_slot, schedule)
end
if left_out > 0 then call('HINCRBY', key(schedule), 'skippedSlots', left_out) end
finish_up()
return answer
