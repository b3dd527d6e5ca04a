local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if ARGV[1] ~= '' then now = tonumber(ARGV[1]) end
local rate, unit, capacity = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local full = capacity * unit
local reply, n, at = {now}, 1, 7
for k = 1, #KEYS do
  local used, t = 0, now
  local v = redis.call('GET', KEYS[k])
  if v then
    local a, b = string.match(v, '^(%d+) (%d+)')
    used = a - (now - b) * rate
    if used < 0 then used = 0 end
  end
  local wrote = false
  for i = at + 1, at + ARGV[at] do
    local cost = ARGV[i] * unit
    if used + cost <= full then
      used = used + cost
      wrote = true
      reply[n + 1] = 'allowed'
      reply[n + 4] = 0
    else
      reply[n + 1] = 'refused'
      reply[n + 4] = math.ceil((used + cost - full) / rate)
    end
    reply[n + 2] = math.floor((full - used) / unit)
    reply[n + 3] = math.ceil(used / rate)
    n = n + 4
  end
  if wrote then redis.call('SET', KEYS[k], string.format('%d %d', used, now), 'PX', math.ceil(used / rate / 1000)) end
  at = at + ARGV[at] + 1
end
return reply
