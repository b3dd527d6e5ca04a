#!lua flags=no-writes
-- Checks that the jobs of one set are what the set says. Joined behind fields.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    set (`ready:noop`, `delayed`, …), where to begin, how many to look at
-- RETURNS a line per fault: the job and what is wrong
-- EFFECTS none
-- COST    O(n log m) for n jobs, at most 1000, of m
local base, set = KEYS[1], ARGV[1]
local call = redis.call
local kind, type = string.match(set, '^(%a+):?(.*)$')
local sets = { 'delayed', 'schedules', 'waiting', 'idle', 'ended', 'dead' }
local faults = {}
local from = tonumber(ARGV[2])
for _, number in ipairs(call('ZRANGE', base .. set, from, from + tonumber(ARGV[3]) - 1)) do
  local job = call('HMGET', base .. 'job:' .. number, 'type', 'state', 'mergedInto')
  local state = string.match(job[2] or 'pending', '^%a+')
  if not job[1] then
    faults[#faults + 1] = number .. ' does not exist'
  elseif not string.find(' ' .. (SETS[state] or '') .. ' ', ' ' .. kind .. ' ', 1, true) and not job[3] then
    faults[#faults + 1] = number .. ' is ' .. state
  elseif type ~= '' and job[1] ~= type then
    faults[#faults + 1] = number .. ' is of type ' .. job[1]
  else
    local places = 0
    for _, other in ipairs(sets) do
      if call('ZSCORE', base .. other, number) then places = places + 1 end
    end
    if call('ZSCORE', base .. 'ready:' .. job[1], number) then places = places + 1 end
    if call('ZSCORE', base .. 'leases:' .. job[1], number) then places = places + 1 end
    if places ~= 1 then faults[#faults + 1] = number .. ' is in ' .. places .. ' sets' end
    if kind == 'leases' then
      local worker = string.match(job[2], 'worker=(%S+)')
      if call('SISMEMBER', base .. 'held:' .. worker, number) == 0 then
        faults[#faults + 1] = number .. ' is not held by ' .. worker
      end
    end
  end
end
return faults
