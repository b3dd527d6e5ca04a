-- Decides requests under one rule: the driver behind clock, one strategy's file and `local strategy = …`.
-- KEYS    one per subject, all under the same rule
-- ARGV    1 now, µs ('' for Redis's clock)   2 flags: '', 'peek' (consume nothing), 'ttl', 'peek,ttl'
--         then the strategy's parameters; then per subject: how many requests, their costs in order of arrival
-- RETURNS {now, per subject and request: word, remaining, reset, retry} and a trailer. word: allowed; refused (again
--         allowed after `retry` µs if nobody else comes); exceeds (cost above capacity: refused for good); broken (the
--         key holds something else). reset: µs until the state says nothing.
--         Trailer: with 'ttl' per key its remaining life in ms; then 'clock-reset' per state that lay over 1 s ahead.
--         {now, 'stale'}: the given calendar periods do not cover now; nothing was done.
-- EFFECTS consumes for every allowed request; each key lives until its state says nothing. What must be known of a key
--         even when it refuses is written too (`unsaved`: a clock set back, the beginning of a bucket below capacity).
-- COST    O(requests) times the strategy's
local flags = ARGV[2]
local peek, ttl = flags == 'peek' or flags == 'peek,ttl', flags == 'ttl' or flags == 'peek,ttl'
local at = 3 + strategy.arity
if strategy.stale and strategy.stale(3) then return {now, 'stale'} end

-- Made with room for one request, which most calls have: growing a table costs more than filling it.
local reply, n, ordinal, lives = {now, 0, 0, 0, 0}, 1, 0, ttl and {}
for k = 1, #KEYS do
  local state = strategy.load(KEYS[k], 3)
  local consumed = false
  for i = at + 1, at + ARGV[at] do
    ordinal = ordinal + 1
    if state.broken then
      reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = 'broken', 0, 0, 0
    else
      local cost = tonumber(ARGV[i])
      local word, retry = strategy.decide(state, cost)
      if word == 'allowed' and not peek then
        strategy.commit(state, cost, ordinal)
        consumed = true
      end
      reply[n + 1], reply[n + 4] = word, retry
      reply[n + 2], reply[n + 3] = strategy.report(state)
    end
    n = n + 4
  end
  if consumed or state.unsaved and not peek then strategy.save(KEYS[k], state) end
  if ttl then lives[k] = state.broken and 0 or strategy.life(state) end
  at = at + ARGV[at] + 1
end
if ttl then
  for k = 1, #lives do reply[n + k] = lives[k] end
  n = n + #lives
end
for i = 1, resets do reply[n + i] = 'clock-reset' end
return reply
