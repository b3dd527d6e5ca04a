-- Ends a lease. Clock stands in front.
-- KEYS    1 sorted set of leases (member: lease, score: its end, µs)
-- ARGV    1 now, µs ('' for Redis's clock)   2 lease
-- RETURNS 'released' | 'gone': it was released before or has ended
-- EFFECTS removes the lease and the further places it holds (`…#2`, `…#3`)
-- COST    O(places · log n)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[2])
local was_held = ends and tonumber(ends) > now
-- All are looked for before the first is removed: a set that is empty is gone, and where its slot moves may not be asked again.
local members = {}
local member = ARGV[2]
while redis.call('ZSCORE', KEYS[1], member) do
  members[#members + 1] = member
  member = ARGV[2] .. '#' .. #members + 1
end
for last = #members, 1, -1000 do redis.call('ZREM', KEYS[1], unpack(members, math.max(1, last - 999), last)) end
return was_held and 'released' or 'gone'
