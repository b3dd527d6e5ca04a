-- Decides requests under several rules, all or nothing: the driver behind clock and all strategies' files.
-- KEYS    per subject one per rule, enforcing rules first, then shadow rules
-- ARGV    1 now, µs ('' for Redis's clock)   2 flags, as check_one's   3 enforcing rules   4 rules
--         5 on, per rule: strategy, its parameters; then requests and costs as check_one's
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
local enforcing, rule_count = ARGV[3] + 0, ARGV[4] + 0
local rules, place = {}, 5
for r = 1, rule_count do
  rules[r] = strategies[ARGV[place]](place + 1)
  place = place + 1 + rules[r].arity
end
if stale then return {now, 'stale'} end
local listed, count, cost = ARGV[place] ~= nil, 1, 1

local keys, reply, n, ordinal, lives = KEYS, {now}, 1, 0, {}
local sound, unsaved, words = {}, {}, {}
for first = 0, #keys - rule_count, rule_count do
  for r = 1, rule_count do sound[r], unsaved[r] = rules[r].load(keys[first + r]) end
  if listed then count = ARGV[place] + 0 end
  for i = place + 1, place + count do
    ordinal = ordinal + 1
    if listed then cost = ARGV[i] + 0 end
    local admitted = not peek
    for r = 1, rule_count do
      local word, retry = 'broken', 0
      if sound[r] then word, retry = rules[r].take(keys[first + r], cost, false) end
      words[r], reply[n + 4 * r - 3], reply[n + 4 * r] = word, word, retry
      if r <= enforcing and word ~= 'allowed' then admitted = false end
    end
    for r = 1, rule_count do
      if admitted and words[r] == 'allowed' then
        rules[r].take(keys[first + r], cost, true, ordinal)
        unsaved[r] = true
      end
      local remaining, reset = 0, 0
      if sound[r] then remaining, reset = rules[r].report() end
      reply[n + 4 * r - 2], reply[n + 4 * r - 1] = remaining, reset
    end
    n = n + 4 * rule_count
  end
  for r = 1, rule_count do
    if unsaved[r] and not peek then rules[r].save(keys[first + r]) end
    if ttl then lives[first + r] = sound[r] and rules[r].life() or 0 end
  end
  place = place + count + 1
end
for k = 1, #lives do reply[n + k] = lives[k] end
n = n + #lives
for i = 1, resets do reply[n + i] = 'clock-reset' end
return reply
