#!lua flags=no-writes
-- Says which queues have something for their upkeep, so that a queue at rest costs no call of its own.
-- KEYS    per queue the beginning of its keys and its guard; several queues only where all are on one server
-- ARGV    now (ms) or empty
-- RETURNS now, then per queue two words: `tick` (jobs run, wait to be taken, or something is due) or else when something is
--         due next (ms, 0 for nothing known); `unsealed` when a batch is past its time, or empty
-- EFFECTS none
-- COST    O(log m) per type of each queue of m jobs; at most 100 queues in a call
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function head(set) return tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) end

-- Whether somebody is to look at the queue now, and else when something is due.
local function look(base)
  if call('EXISTS', base .. 'unsettled') == 1 then return 'tick' end
  for _, type in ipairs(call('HKEYS', base .. 'types')) do
    if call('EXISTS', base .. 'leases:' .. type, base .. 'ready:' .. type) > 0 then return 'tick' end
  end
  local due = 0
  -- What is kept too long, and workers that are silent, leave their sets.
  for set, after in pairs({ delayed = 0, schedules = 0, ended = 7 * 86400000, dead = 7 * 86400000, workers = 60000 }) do
    local at = head(base .. set)
    if at and at + after <= now then return 'tick' end
    if at and after == 0 and (due == 0 or at < due) then due = at end
  end
  return string.format('%d', due)
end

local answer = { string.format('%d', now) }
for i = 1, #KEYS, 2 do
  answer[#answer + 1] = look(KEYS[i])
  local unsealed = head(KEYS[i] .. 'unsealed')
  answer[#answer + 1] = unsealed and unsealed <= now and 'unsealed' or ''
end
return answer
