#!lua
-- Takes a bulk that is done in the background one step on, if it still stands where the caller thinks.
--
-- KEYS    [1] `qm:bulk:{id}`, hash: `status`, `place` (the chunk it is at), counts; [2] `…:rows` and [3] `…:changes`, hashes
--         by chunk; [4] `…:errors`, list of JSON
-- ARGV    [1] now in ms or empty; [2] `open`: then how many words the hash has, its names and values, errors; or `step`: [3] the status and [4] the place
--         it must have (empty: any), [5] and [6] those it gets, [7] a chunk or empty and [8] what it changed, [9] to [12] two
--         names of counts, each with what is added to it; then errors
-- RETURNS `done`; `exists`, to `open`; `stale`, to `step`
-- EFFECTS the hash, the changes, the errors (1000 are kept); all of it ends a week after the bulk did
-- COST    O(n), n the errors and fields that are given
local call = redis.call
local bulk, now, word = KEYS[1], ARGV[1], ARGV[2]
if now == '' then
  local time = call('TIME')
  now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
end
local ENDS = { completed = true, failed = true, ['rolled-back'] = true }
local KEPT_ENDED_MS = 604800000

local function keep(status)
  for _, name in ipairs(KEYS) do
    if ENDS[status] then call('PEXPIRE', name, KEPT_ENDED_MS) else call('PERSIST', name) end
  end
end

-- Those from here on among the arguments.
local function keepErrors(first)
  for i = first, #ARGV do call('RPUSH', KEYS[4], ARGV[i]) end
  call('LTRIM', KEYS[4], 0, 999)
end

local status = call('HGET', bulk, 'status')
if word == 'open' then
  if status then
    keep(status)
    return 'exists'
  end
  local last = 3 + ARGV[3]
  call('HSET', bulk, 'created', now, unpack(ARGV, 4, last))
  keepErrors(last + 1)
  status = call('HGET', bulk, 'status')
else
  local place = call('HGET', bulk, 'place')
  if not status or status ~= ARGV[3] or (ARGV[4] ~= '' and ARGV[4] ~= place) then return 'stale' end
  status = ARGV[5]
  call('HSET', bulk, 'status', status, 'place', ARGV[6])
  if ARGV[7] ~= '' then call('HSET', KEYS[3], ARGV[7], ARGV[8]) end
  call('HINCRBY', bulk, ARGV[9], ARGV[10])
  call('HINCRBY', bulk, ARGV[11], ARGV[12])
  keepErrors(13)
end
if ENDS[status] then call('HSET', bulk, 'ended', now) else call('HDEL', bulk, 'ended') end
keep(status)
return 'done'
