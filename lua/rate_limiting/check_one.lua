-- Decides requests under one rule: the driver behind clock, `local p = 3` and one strategy's file.
-- KEYS    one per subject, all under the same rule
-- ARGV    1 now, µs ('' for Redis's clock)   2 flags: '', 'peek' (consume nothing), 'ttl', 'peek,ttl'
--         3 on: the strategy's parameters; then, unless every subject has one request of cost 1, per subject: how many
--         requests, their costs in order of arrival
-- RETURNS {now, per subject and request: word, remaining, reset, retry} and a trailer. word: allowed; refused (again
--         allowed after `retry` µs if nobody else comes); exceeds (cost above capacity: refused for good); broken (the
--         key holds something else). reset: µs until the state says nothing.
--         Trailer: with 'ttl' per key its remaining life in ms; then 'clock-reset' per state that lay over 1 s ahead.
--         {now, 'stale'}: the given calendar periods do not cover now; nothing was done.
-- EFFECTS consumes for every allowed request; each key lives until its state says nothing. What must be known of a key
--         even when it refuses is written too (a clock set back, the beginning of a bucket below capacity).
-- COST    O(requests) times the strategy's
if stale then return {now, 'stale'} end
local flags = ARGV[2]
local peek, ttl = flags == 'peek' or flags == 'peek,ttl', flags == 'ttl' or flags == 'peek,ttl'
local place = p + arity
local listed, count, cost = ARGV[place] ~= nil, 1, 1

-- Made with room for one request, which most calls have: growing a table costs more than filling it.
local keys, reply, n, ordinal, lives = KEYS, {now, 0, 0, 0, 0}, 1, 0, ttl and {}
for k = 1, #keys do
  local key = keys[k]
  local sound, unsaved = load(key)
  if listed then count = ARGV[place] + 0 end
  for i = place + 1, place + count do
    ordinal = ordinal + 1
    if listed then cost = ARGV[i] + 0 end
    if sound then
      local word, retry = take(key, cost, not peek, ordinal)
      if word == 'allowed' then unsaved = true end
      reply[n + 1], reply[n + 4] = word, retry
      reply[n + 2], reply[n + 3] = report()
    else
      reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = 'broken', 0, 0, 0
    end
    n = n + 4
  end
  if unsaved and not peek then save(key) end
  if ttl then lives[k] = sound and life() or 0 end
  place = place + count + 1
end
if ttl then
  for k = 1, #lives do reply[n + k] = lives[k] end
  n = n + #lives
end
for i = 1, resets do reply[n + i] = 'clock-reset' end
return reply
