-- Ends a lease. Clock stands in front.
-- KEYS    1 sorted set of leases (member: lease, score: its end, µs)
-- ARGV    1 now, µs ('' for Redis's clock)   2 lease
-- RETURNS 'released' | 'gone': it was released before or has ended
-- EFFECTS removes the lease and the further places it holds (`…#2`, `…#3`)
-- COST    O(places · log n)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[2])
local was_held = ends and tonumber(ends) > now
local member, place = ARGV[2], 1
while redis.call('ZREM', KEYS[1], member) == 1 do
  place = place + 1
  member = ARGV[2] .. '#' .. place
end
return was_held and 'released' or 'gone'
