-- Keeps a lease for another term. Clock stands in front.
-- KEYS    1 sorted set of leases (member: lease, score: its end, µs)
-- ARGV    1 now, µs ('' for Redis's clock)   2 lease   3 term, µs
-- RETURNS {'renewed', its new end, µs} | {'gone'}: it was released or has ended
-- EFFECTS moves the ends of the lease and of the further places it holds (`…#2`, `…#3`); renews the key's life
-- COST    O(places · log n)
local held = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not held or tonumber(held) <= now then return {'gone'} end
local ends = now + ARGV[3]
local member, place = ARGV[2], 1
while redis.call('ZSCORE', KEYS[1], member) do
  redis.call('ZADD', KEYS[1], format('%d', ends), member)
  place = place + 1
  member = ARGV[2] .. '#' .. place
end
local last = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
expire(KEYS[1], ceil((last - now) / 1000))
return {'renewed', ends}
