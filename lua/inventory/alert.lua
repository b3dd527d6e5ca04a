#!lua
-- What people do with an alert.
--
-- KEYS    [1] `qm:alert:{SKU}:<warehouse>`, hash
-- ARGV    [1] `acknowledge` or `escalate`; [2] the alert's number, or empty for the latest; [3] now in ms or empty; [4] who
-- RETURNS {`done` or `same`, the hash}; `missing`; `ended`, when it is resolved or another one is there now
-- EFFECTS `acknowledged` and `acknowledgedBy`, or `escalated`: the first time counts
-- COST    O(1)
local call = redis.call
local name = KEYS[1]
local known = call('HMGET', name, 'number', 'status', 'acknowledged', 'escalated')
if not known[1] then return 'missing' end
if ARGV[2] ~= '' and ARGV[2] ~= known[1] then return 'ended' end
local now = ARGV[3]
if now == '' then
  local time = call('TIME')
  now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
end
local word = 'done'
if ARGV[1] == 'acknowledge' then
  if known[3] then
    word = 'same'
  elseif known[2] == 'resolved' then
    return 'ended'
  else
    call('HSET', name, 'status', 'acknowledged', 'acknowledged', now, 'acknowledgedBy', ARGV[4])
  end
else
  if known[2] ~= 'active' then return 'ended' end
  if known[4] then word = 'same' else call('HSET', name, 'escalated', now) end
end
return { word, unpack(call('HGETALL', name)) }
