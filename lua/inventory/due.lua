#!lua
-- Takes SKUs with something due, so that no two processes are at the same one; those that a dead process had taken come
-- back after their time.
--
-- KEYS    [1] `qm:stock-due:{n}`, sorted set of SKUs by when something is due (ms); [2] `…:taken`, those that somebody is
--         at, by when it is another one's turn; [3] `…:whole`, the guard: it never exists, so that a cluster answers
--         TRYAGAIN while the slot is moved, instead of failing where a set has become empty. Likewise `qm:order-due:{n}`
--         with ids of orders, `qm:bulk-due:{bulks}`
-- ARGV    [1] now in ms or empty; [2] for how long they are taken (ms); [3] how many at most
-- RETURNS the SKUs
-- EFFECTS moves them from [1] to [2]
-- COST    O(m log n), m those taken
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local stamp = string.format('%d', now)
local taken = call('ZRANGEBYSCORE', KEYS[2], '-inf', stamp, 'LIMIT', 0, ARGV[3])
local rest = ARGV[3] - #taken
if rest > 0 then
  for _, sku in ipairs(call('ZRANGEBYSCORE', KEYS[1], '-inf', stamp, 'LIMIT', 0, rest)) do taken[#taken + 1] = sku end
end
local free = string.format('%d', now + ARGV[2])
for _, sku in ipairs(taken) do
  call('ZREM', KEYS[1], sku)
  call('ZADD', KEYS[2], free, sku)
end
return taken
