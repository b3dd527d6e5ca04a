-- Ends a lease.
-- KEYS    1 sorted set of leases (member: lease, score: its end, µs)
-- ARGV    1 now, µs ('' for Redis's clock)   2 lease
-- RETURNS 'released' | 'gone': it was released before or has ended
-- EFFECTS removes the lease and the further places it holds (`…#2`, `…#3`)
-- COST    O(places · log n)
local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local ends = redis.call('ZSCORE', KEYS[1], ARGV[2])
local was_held = ends and tonumber(ends) > now
local member, place = ARGV[2], 1
while redis.call('ZREM', KEYS[1], member) == 1 do
  place = place + 1
  member = ARGV[2] .. '#' .. place
end
return was_held and 'released' or 'gone'
