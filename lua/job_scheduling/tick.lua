#!lua flags=allow-oom
-- Does what is due in a queue: delayed jobs, leases that are over, ends whose consequences are left, what is kept too
-- long; and says which schedules are due. Joined behind take.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id
-- RETURNS now, when something is due next (ms, 0 for nothing), then per due schedule: job, slot (ms), and its fields
--         schedule, timeZone, missed, missedLimit, overlap, queueLimit (empty for none)
-- EFFECTS states, sets, history, events; workers silent for a minute leave the list
-- COST    O(log m) per job that is due (at most 300), expired (50 per type), kept too long (100); 100 schedules
promote(300)
for _, type in ipairs(call('HKEYS', base .. 'types')) do
  expire(type)
  if call('EXISTS', base .. 'ready:' .. type) == 1 then wake(type) end
  -- A critical job that missed its promise may have the place of one that allows it.
  local head = call('ZRANGEBYSCORE', base .. 'ready:' .. type, '-inf', stamp, 'LIMIT', 0, 1)[1]
  if head and call('HGET', key(head), 'priority') == 'critical' then
    local victim = call('ZPOPMAX', base .. 'preemptible')[1]
    local state = victim and call('HGET', key(victim), 'state')
    if state and match(state, '^running') and not match(state, ' preempted=') then
      call('HSET', key(victim), 'state', state .. ' preempted=' .. stamp)
      tell('preempt', victim)
    end
  end
end
for _, left in ipairs(call('LPOP', base .. 'unsettled', 100) or {}) do
  with_ends()
  rare.do_left(left)
end
for _, set in ipairs({ 'ended', 'dead' }) do
  local age = format('%d', now - 7 * 86400000)
  local old = call('ZRANGEBYSCORE', base .. set, '-inf', age, 'LIMIT', 0, 100)
  if #old > 0 then
    call('ZREM', base .. set, unpack(old))
    remove(old)
  end
end
for _, worker in ipairs(call('ZRANGEBYSCORE', base .. 'workers', '-inf', format('%d', now - 60000), 'LIMIT', 0, 100)) do
  call('ZREM', base .. 'workers', worker)
  call('UNLINK', base .. 'worker:' .. worker)
end
local wanted = match(call('HGET', base .. 'apart', '?') or '', ' (%d+)$')
if wanted and now - wanted > APART_WANTED_MS then call('HDEL', base .. 'apart', '?') end
finish_up()
local due = call('EXISTS', base .. 'unsettled') == 1 and now or 0
for _, set in ipairs({ 'delayed', 'schedules' }) do
  local head = tonumber(call('ZRANGE', base .. set, 0, 0, 'WITHSCORES')[2] or 0)
  if head > 0 and (due == 0 or head < due) then due = head end
end
local answer = { stamp, format('%d', due) }
local slots = call('ZRANGEBYSCORE', base .. 'schedules', '-inf', stamp, 'WITHSCORES', 'LIMIT', 0, 100)
for i = 1, #slots, 2 do
  local at = #answer
  answer[at + 1], answer[at + 2] = slots[i], slots[i + 1]
  local job = call('HMGET', key(slots[i]), 'schedule', 'timeZone', 'missed', 'missedLimit', 'overlap', 'queueLimit')
  for j = 1, 6 do answer[at + 2 + j] = job[j] or '' end
end
return answer
