-- Decides requests under several rules, all or nothing: the driver behind clock and all strategies' files.
-- KEYS    per subject one per rule, enforcing rules first, then shadow rules
-- ARGV    1 now, µs ('' for Redis's clock)   2 flags, as check_one's   3 enforcing rules   4 rules
--         then per rule: strategy, its parameters; then per subject: how many requests, their costs in order of arrival
-- RETURNS as check_one, with word, remaining, reset, retry per subject, request and rule
-- EFFECTS a request that every enforcing rule allows consumes under each of them, and under each shadow rule that allows
--         it; another consumes nothing. Subjects are served in order, each reading what the one before wrote.
-- COST    O(requests × rules) times the strategies'
local strategies = {
  token_bucket = token_bucket, sliding_window = sliding_window, sliding_window_counter = sliding_window_counter,
  fixed_window = fixed_window, quota = quota, concurrency = concurrency,
}
local flags = ARGV[2]
local peek, ttl = flags == 'peek' or flags == 'peek,ttl', flags == 'ttl' or flags == 'peek,ttl'
local enforcing, count = tonumber(ARGV[3]), tonumber(ARGV[4])
local rules, parameters, at = {}, {}, 5
for r = 1, count do
  rules[r], parameters[r] = strategies[ARGV[at]], at + 1
  if rules[r].stale and rules[r].stale(at + 1) then return {now, 'stale'} end
  at = at + 1 + rules[r].arity
end

local reply, n, ordinal, lives = {now}, 1, 0, {}
for first = 0, #KEYS - count, count do
  local states, consumed = {}, {}
  for r = 1, count do states[r] = rules[r].load(KEYS[first + r], parameters[r]) end
  for i = at + 1, at + ARGV[at] do
    ordinal = ordinal + 1
    local cost = tonumber(ARGV[i])
    local words, admitted = {}, true
    for r = 1, count do
      local word, retry = 'broken', 0
      if not states[r].broken then word, retry = rules[r].decide(states[r], cost) end
      words[r] = word
      reply[n + 4 * r - 3], reply[n + 4 * r] = word, retry
      if r <= enforcing and word ~= 'allowed' then admitted = false end
    end
    for r = 1, count do
      if admitted and not peek and words[r] == 'allowed' then
        rules[r].commit(states[r], cost, ordinal)
        consumed[r] = true
      end
      local remaining, reset = 0, 0
      if not states[r].broken then remaining, reset = rules[r].report(states[r]) end
      reply[n + 4 * r - 2], reply[n + 4 * r - 1] = remaining, reset
    end
    n = n + 4 * count
  end
  for r = 1, count do
    if consumed[r] or states[r].unsaved and not peek then rules[r].save(KEYS[first + r], states[r]) end
    if ttl then lives[first + r] = states[r].broken and 0 or rules[r].life(states[r]) end
  end
  at = at + ARGV[at] + 1
end
for k = 1, #lives do reply[n + k] = lives[k] end
n = n + #lives
for i = 1, resets do reply[n + i] = 'clock-reset' end
return reply
