-- Gives back what was consumed: the driver behind clock and all strategies' files.
-- KEYS    one per rule
-- ARGV    1 now, µs ('' for Redis's clock)   2 amount   3 receipt: the decision's `now`, or ''
--         then per rule: strategy, its parameters
-- RETURNS per rule: word, remaining. word: refunded; nothing (there is no state, and no key is made); void (the
--         receipt's window has passed); unsupported (leases are released, not refunded); broken; stale
-- EFFECTS a bucket gains up to its capacity, a window or period goes down to 0, a log loses its newest entries; with a
--         receipt exactly the decision's own
-- COST    O(rules) times the strategies'
local strategies = {
  token_bucket = token_bucket, sliding_window = sliding_window, sliding_window_counter = sliding_window_counter,
  fixed_window = fixed_window, quota = quota, concurrency = concurrency,
}
local amount, receipt = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply, place = {}, 4
for k = 1, #KEYS do
  local key, before = KEYS[k], resets
  stale = false
  local rule = strategies[ARGV[place]](place + 1)
  local word, remaining = 'stale', 0
  if not stale then
    local sound = rule.load(key)
    if resets > before then rule.save(key) end
    word = 'broken'
    if sound then
      word = rule.refund(key, amount, receipt)
      remaining = rule.report()
    end
  end
  reply[2 * k - 1], reply[2 * k] = word, remaining
  place = place + 1 + rule.arity
end
return reply
