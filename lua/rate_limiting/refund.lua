-- Gives back what was consumed: the driver behind clock and all strategies' files. What is marked is given back once: a
-- call that comes again is answered as before and does nothing.
-- KEYS    per rule its state; if receipts are marked `<state's key>:refunded:<moment>`, a string `<remaining>`; if there
--         is an idempotency key `<state's key>:refunded:<its digest>`, a string `<body digest> <remaining>`
-- ARGV    1 now, µs ('' for Redis's clock)   2 amount   3 receipt: the decision's `now`, or ''
--         4 'once': receipts are marked, or ''   5 digest of the body under an idempotency key, or ''
--         then per rule: strategy, its parameters
-- RETURNS per rule: word, remaining. word: refunded; nothing (there is no state, and no key is made); void (the
--         receipt's window has passed); unsupported (leases are released, not refunded); broken; stale.
--         {'another'}: another body came under this idempotency key; nothing was done
-- EFFECTS a bucket gains up to its capacity, a window or period goes down to 0, a log loses its newest entries; with a
--         receipt exactly the decision's own. What gives back is marked: for as long as the receipt says something, and
--         under an idempotency key for 24 hours
-- COST    O(rules) times the strategies'
local strategies = {
  token_bucket = token_bucket, sliding_window = sliding_window, sliding_window_counter = sliding_window_counter,
  fixed_window = fixed_window, quota = quota, concurrency = concurrency,
}
local amount, receipt, once, body = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == 'once', ARGV[5]
local keyed = body ~= ''
local step = 1 + (once and 1 or 0) + (keyed and 1 or 0)

-- What was answered before, by rule.
local earlier = {}
for k = 1, #KEYS, step do
  if keyed then
    local record = redis.call('GET', KEYS[k + step - 1])
    if record then
      local digest, remaining = match(record, '^(%x+) ([0-9]+)$')
      if digest ~= body then return {'another'} end
      earlier[k] = remaining + 0
    end
  end
  if once and not earlier[k] then
    local record = redis.call('GET', KEYS[k + 1])
    if record then earlier[k] = record + 0 end
  end
end

local function mark(k, remaining, life)
  local said = format('%d', remaining)
  if once then redis.call('SET', KEYS[k + 1], said, 'PX', kept(ceil(life / 1000))) end
  if keyed then redis.call('SET', KEYS[k + step - 1], body .. ' ' .. said, 'PX', '86400000') end
end

local reply, place = {}, 6
for k = 1, #KEYS, step do
  local key, before = KEYS[k], resets
  stale = false
  local rule = strategies[ARGV[place]](place + 1)
  local word, remaining, life = 'stale', 0, 0
  if earlier[k] then
    word, remaining = 'refunded', earlier[k]
  elseif not stale then
    local sound = rule.load(key)
    if resets > before then rule.save(key) end
    word = 'broken'
    if sound then
      word, life = rule.refund(key, amount, receipt)
      remaining = rule.report()
      if word == 'refunded' then mark(k, remaining, life) end
    end
  end
  reply[#reply + 1] = word
  reply[#reply + 1] = remaining
  place = place + 1 + rule.arity
end
return reply
