-- The runs of a schedule: each is a job of its own that ends into its schedule's history. Joined behind take.lua and
-- fields.lua.

-- Reads a schedule: its fields by name, and what its runs take over, as a list.
local function read_schedule(number)
  local fields = call('HGETALL', key(number))
  local map, copied = {}, {}
  for i = 1, #fields, 2 do
    map[fields[i]] = fields[i + 1]
    if FIELDS[fields[i]] == 'given' then
      copied[#copied + 1] = fields[i]
      copied[#copied + 1] = fields[i + 1]
    end
  end
  map.largeConfig = call('GET', base .. 'config:' .. number)
  return map, copied
end

-- Tells the runs that go on to end, and forgets those that wait: only the newest replacement waits.
local function replace(schedule, type)
  for _, other in ipairs(call('SMEMBERS', base .. 'active:' .. schedule)) do
    local state = call('HGET', key(other), 'state') or ''
    if match(state, '^running') then
      if not match(state, ' cancelled=') then
        call('HSET', key(other), 'state', state .. ' cancelled=' .. stamp)
        tell('cancel', other)
      end
    elseif withdraw(other, type) then
      conclude(other, 'cancelled', 'ended=' .. stamp .. ' reason=replaced', true)
    end
  end
  for _, other in ipairs(call('ZRANGE', base .. 'queued:' .. schedule, 0, -1)) do
    call('ZREM', base .. 'waiting', other)
    conclude(other, 'cancelled', 'ended=' .. stamp .. ' reason=replaced', true)
  end
  call('DEL', base .. 'queued:' .. schedule)
end

-- Makes one run, by the schedule's rule for runs that overlap; nil when it leaves this one out.
local function spawn(schedule, map, copied, slot)
  local overlap = map.overlap or 'allow'
  local active, queued = base .. 'active:' .. schedule, base .. 'queued:' .. schedule
  local busy = overlap ~= 'allow' and call('SCARD', active) > 0
  if busy and (overlap == 'forbid'
    or (overlap == 'queue' and call('ZCARD', queued) >= tonumber(map.queueLimit or 10))) then
    return nil
  end
  local number = format('%012d', call('INCR', base .. 'sequence'))
  call('HSET', key(number), 'created', stamp, 'of', schedule, 'slot', slot, 'special', '1', unpack(copied))
  if map.largeConfig then put_config(number, nil, map.largeConfig) end
  if busy and overlap == 'replace' then replace(schedule, map.type) end
  if busy then
    call('HSET', key(number), 'state', 'waiting')
    call('ZADD', base .. 'waiting', stamp, number)
    call('ZADD', queued, slot, number)
  else
    call('SADD', active, number)
    ready(number, map.type, now + target(map.type, map.priority))
  end
  note('created', number)
  return number
end
