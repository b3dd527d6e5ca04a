#!lua
-- Takes an order over SKUs in several slots one step on, if nobody else has meanwhile. Its state is written before what is
-- done to its lines by it, so that any process can go on: `holding` reserves them, one after the other; `undoing` gives them
-- back, as one could not be had; `confirming` pins all of them and then takes them, `cancelling` and `expiring` end them,
-- `extending` moves their end.
--
-- KEYS    [1] `qm:order:{id}`, hash: `state`; `step`, a number that grows with every step; `since` (ms); `order`, `created`,
--         `expires`, `request`, `skus` as in order; what a state needs (`lines`, `parts`, `until`, `actor`, `key`); `refusal`
-- ARGV    [1] now in ms or empty; [2] `read`; or `move`: [3] the step it must be at (0: there is no such order), [4] the new
--         state, then names and values, an empty one for a field to be removed, `+n` for a time n ms from now; or `look`:
--         the step of an order at rest grows as well, so that whoever has read it before reads it again; one that is not
--         there is `refused` from then on
-- RETURNS {`done` or `stale`, now, the hash}
-- EFFECTS the hash; at rest it has an end: a week after the order's, or 2 hours for one that was refused
-- COST    O(n), n the fields
local call = redis.call
local name, word = KEYS[1], ARGV[2]
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local stamp = string.format('%d', now)
local KEPT_ENDED_MS, KEPT_REFUSED_MS = 604800000, 7200000
local AT_REST = { held = true, refused = true, confirmed = true, cancelled = true, expired = true }

local known = call('HMGET', name, 'step', 'state', 'expires')
local step, state = tonumber(known[1] or 0), known[2]

local function keep(expires)
  if not AT_REST[state] then
    call('PERSIST', name)
  elseif state == 'refused' then
    call('PEXPIRE', name, KEPT_REFUSED_MS)
  elseif state == 'held' then
    call('PEXPIRE', name, math.max(0, expires - now) + KEPT_ENDED_MS)
  else
    call('PEXPIRE', name, KEPT_ENDED_MS)
  end
end

local result = 'done'
if word == 'move' then
  if step ~= tonumber(ARGV[3]) then
    result = 'stale'
  else
    state = ARGV[4]
    local fields, gone = { 'state', state, 'step', string.format('%d', step + 1), 'since', stamp }, {}
    local expires = tonumber(known[3])
    for i = 5, #ARGV, 2 do
      local field, value = ARGV[i], ARGV[i + 1]
      if value == '' then
        gone[#gone + 1] = field
      else
        local later = string.match(value, '^%+(%d+)$')
        if later then value = string.format('%d', now + later) end
        if field == 'expires' then expires = tonumber(value) end
        fields[#fields + 1] = field
        fields[#fields + 1] = value
      end
    end
    if #gone > 0 then call('HDEL', name, unpack(gone)) end
    call('HSET', name, unpack(fields))
    keep(expires)
  end
elseif word == 'look' and (not state or AT_REST[state]) then
  if not state then
    state = 'refused'
    call('HSET', name, 'state', state, 'since', stamp)
    keep()
  end
  call('HINCRBY', name, 'step', 1)
end
return { result, stamp, unpack(call('HGETALL', name)) }
