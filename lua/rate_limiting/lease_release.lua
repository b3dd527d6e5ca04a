-- Ends a lease.
-- KEYS    1 sorted set of leases (member: lease, score: its end, µs)
-- ARGV    1 lease
-- RETURNS 'released' | 'gone': it was released before or has ended
-- EFFECTS removes the lease and the further places it holds (`…#2`, `…#3`)
-- COST    O(places · log n)
local time = redis.call('TIME')
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
local was_held = ends and tonumber(ends) > time[1] * 1000000 + time[2]
local member, place = ARGV[1], 1
while redis.call('ZREM', KEYS[1], member) == 1 do
  place = place + 1
  member = ARGV[1] .. '#' .. place
end
return was_held and 'released' or 'gone'
