-- Opens, seals and drops a batch. Its jobs are enqueued in between, as held. Joined behind take.lua.
-- KEYS    1 beginning of the queue's keys
-- ARGV    now, run id, `open`, `release` or `drop`, batch; for open: name, how many jobs, callback (job) or empty
-- RETURNS `open` (made, or as it was), `sealed` (every job is released), `more` (call again), `gone`
-- EFFECTS the batch's hash; released or removed jobs, at most 500 in a call
-- COST    O(n log m) for n jobs released of m
local op, hash = ARGV[3], base .. 'batch:' .. ARGV[4]
local held = hash .. ':held'
local state = call('HGET', hash, 'state')
if op == 'open' then
  if not state then
    call('HSET', hash, 'state', 'open', 'name', ARGV[5], 'total', ARGV[6], 'created', stamp, 'open', 0, 'enqueued', 0)
    if ARGV[7] ~= '' then call('HSET', hash, 'callback', ARGV[7]) end
    call('ZADD', base .. 'unsealed', format('%d', now + 60000), ARGV[4])
  end
  return state or 'open'
end
if not state then return 'gone' end
local numbers = call('ZPOPMIN', held, 500)
for i = 1, #numbers, 2 do
  local number = numbers[i]
  if op == 'drop' then
    call('ZREM', base .. 'waiting', number)
    remove({ number })
  elseif not call('HGET', key(number), 'unmet') and call('ZREM', base .. 'waiting', number) == 1 then
    begin(number)
  end
end
local answer = 'more'
if call('EXISTS', held) == 0 then
  call('ZREM', base .. 'unsealed', ARGV[4])
  if op == 'drop' then
    local callback = call('HGET', hash, 'callback')
    if callback and call('ZREM', base .. 'waiting', callback) == 1 then remove({ callback }) end
    call('DEL', hash)
    answer = 'gone'
  else
    call('HSET', hash, 'state', 'sealed', 'sealed', stamp)
    if tonumber(call('HGET', hash, 'open')) <= 0 then
      call('HSET', hash, 'ended', stamp)
      local callback = call('HGET', hash, 'callback')
      if callback and call('ZREM', base .. 'waiting', callback) == 1 then begin(callback) end
    end
    answer = 'sealed'
  end
else
  call('HSET', hash, 'state', op == 'drop' and 'dropping' or 'releasing')
end
finish_up()
return answer
