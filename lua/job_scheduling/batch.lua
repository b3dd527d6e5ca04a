#!lua flags=allow-oom
-- Seals and drops a batch whose jobs have been enqueued as held. Joined behind take.lua.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    now, run id, `release` or `drop`, batch
-- RETURNS `sealed` (every job is released), `more` (call again), `gone`
-- EFFECTS the batch's hash; released or removed jobs, at most 200 in a call
-- COST    O(n log m) for n jobs released of m
-- The consequences of so many ends are followed at once.
local MOST = 200
with_ends()
local op, hash = ARGV[3], base .. 'batch:' .. ARGV[4]
local held = hash .. ':held'
local state = call('HGET', hash, 'state')
if not state then
  call('ZREM', base .. 'unsealed', ARGV[4])
  return 'gone'
end
if state == 'sealed' then return 'sealed' end
-- Its callback came, and then nothing.
if op == 'release' and call('HEXISTS', hash, 'total') == 0 then return 'gone' end
if state == 'dropping' and op == 'release' then return 'gone' end
-- What has begun is brought to its end: some of the jobs may have run.
if op == 'drop' and state == 'releasing' then op = 'release' end

-- Ends a job as if there never had been one: what hangs on it is told.
local function drop(number)
  conclude(number, 'cancelled', 'ended=' .. stamp .. ' reason=its batch was never completed', true)
  forgotten[number] = true
end

local numbers = call('ZPOPMIN', held, MOST)
local gone = {}
for i = 1, #numbers, 2 do
  local number = numbers[i]
  if op ~= 'drop' then
    rare.go_on(number)
  elseif call('ZREM', base .. 'waiting', number) == 1 then
    call('HDEL', key(number), 'batch')
    drop(number)
  elseif rare.ENDED[match(call('HGET', key(number), 'state') or '', '^%a+')] then
    gone[#gone + 1] = number
  else
    -- Somebody has run it by hand: it goes on by itself.
    call('HDEL', key(number), 'batch', 'counted')
  end
end
if #gone > 0 then
  -- Ended meanwhile, by a cancel or for a dependency.
  call('ZREM', base .. 'ended', unpack(gone))
  call('ZREM', base .. 'dead', unpack(gone))
  remove(gone)
end
local answer = 'more'
if call('EXISTS', held) == 0 then
  call('ZREM', base .. 'unsealed', ARGV[4])
  if op == 'drop' then
    local callback = call('HGET', hash, 'callback')
    if callback and call('ZREM', base .. 'waiting', callback) == 1 then drop(callback) end
    call('DEL', hash)
    answer = 'gone'
  else
    call('HSET', hash, 'state', 'sealed', 'sealed', stamp)
    rare.close_batch(ARGV[4])
    answer = 'sealed'
  end
else
  call('HSET', hash, 'state', op == 'drop' and 'dropping' or 'releasing')
end
finish_up()
return answer
