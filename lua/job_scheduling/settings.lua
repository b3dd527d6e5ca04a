#!lua flags=allow-oom
-- Changes what holds for a whole queue. Joined behind ends.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, then `pause`, `resume`, `type` with its name and settings (`concurrency=5 rate=10/1000 …`), `pools`
--         with names and capacities, or `alert` with a type (or `*`) and a URL (empty for none)
-- RETURNS `done`, or `full` (there are 1000 types already)
-- EFFECTS `settings`, `types`, `pools`, `alerts`; jobs that a pool has room for now, or none any more; wakes workers
-- COST    O(types)
local MOST_TYPES = 1000
local op = ARGV[3]
if op == 'type' and call('HEXISTS', base .. 'types', ARGV[4]) == 0 and call('HLEN', base .. 'types') >= MOST_TYPES then
  return 'full'
end
if op == 'pause' then
  call('HSET', base .. 'settings', 'paused', stamp)
elseif op == 'resume' then
  call('HDEL', base .. 'settings', 'paused')
elseif op == 'type' then
  call('HSET', base .. 'types', ARGV[4], ARGV[5])
elseif op == 'alert' then
  if ARGV[5] == '' then call('HDEL', base .. 'alerts', ARGV[4]) else call('HSET', base .. 'alerts', ARGV[4], ARGV[5]) end
else
  with_ends()
  local names = call('HKEYS', base .. 'pools')
  call('DEL', base .. 'pools', base .. 'gathering')
  local used = call('HGETALL', base .. 'used')
  for i = 1, #used, 2 do
    if used[i + 1] == '0' then call('HDEL', base .. 'used', used[i]) end
  end
  if #ARGV > 3 then call('HSET', base .. 'pools', unpack(ARGV, 4, #ARGV)) end
  for i = 4, #ARGV, 2 do names[#names + 1] = ARGV[i] end
  for _, name in ipairs(names) do rare.resize(name) end
end
if op ~= 'pause' then
  for _, type in ipairs(call('HKEYS', base .. 'types')) do wake(type) end
end
finish_up()
return 'done'
