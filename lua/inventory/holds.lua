-- What can be done to holds. Each function judges one operation against the SKU as it stands after those before it, and
-- answers with words. Joined behind `stock` and `levels`.

-- What a hold may take in a warehouse: available, less the share that is kept for those with priority.
local function free(s, warehouse, kept)
  local c = counters(s, warehouse)
  local share = kept and kept[warehouse]
  return c.quantity - c.reserved - (share and math.ceil(c.quantity * share / 1000) or 0)
end

-- Whether somebody waits for stock of a warehouse who goes before one of this priority.
local function isAwaited(s, warehouse, priority)
  if s.waiting <= 0 then return false end
  local first = call('ZRANGE', key(s, 'backorder', ':' .. warehouse), 0, 0, 'WITHSCORES')
  return first[1] and 100 - math.floor(first[2] / 1e13) >= (priority or 0)
end

-- What somebody who comes may take in a warehouse: who waits is served before. `own`: what is given back for it.
local function comer(s, kept, priority, own)
  return function(warehouse)
    local can = free(s, warehouse, kept)
    if can > 0 and isAwaited(s, warehouse, priority) then can = 0 end
    return can + (own and own[warehouse] or 0)
  end
end

-- Where the wanted quantities can be had, in the order of the given warehouses. `most`: how much a warehouse may give.
-- Returns the parts, or nil and how many could be had.
local function allocate(want, most)
  local list, taken, had = {}, {}, 0
  local function take(warehouse, n)
    if not taken[warehouse] then
      list[#list + 1] = { warehouse, 0 }
      taken[warehouse] = list[#list]
    end
    taken[warehouse][2] = taken[warehouse][2] + n
    had = had + n
  end
  local short = false
  for _, wanted in ipairs(want) do
    local rest, best = wanted.n, 0
    for _, warehouse in ipairs(wanted.from) do
      local can = math.max(0, most(warehouse) - (taken[warehouse] and taken[warehouse][2] or 0))
      if wanted.split then
        if rest > 0 and can > 0 then
          local n = math.min(rest, can)
          take(warehouse, n)
          rest = rest - n
        end
      else
        best = math.max(best, can)
        if rest > 0 and can >= rest then
          take(warehouse, rest)
          rest = 0
        end
      end
    end
    if rest > 0 then
      short = true
      had = had + best
    end
  end
  if short then return nil, had end
  return list
end

local function holdUntil(s, id, expires)
  call('ZADD', key(s, 'expiry'), format('%d', expires), id)
  if not s.nextExpiry or expires < s.nextExpiry then s.nextExpiry = expires end
end

-- Whether an end that is asked for is too far away. That of an order's line was judged when the order was.
local function isFar(op) return op.expires and not op.step and not op.set and op.expires - now > LONGEST_MS end

-- Whether a step on a line of an order comes after a later one: nothing may be done by it. See lines.lua.
local function isLate(h, op)
  return op.step and (h.set ~= op.set or tonumber(h.step or 0) > op.step)
end

-- Puts holds that wait into the queues of their warehouses which a version of the program left out that had none.
local REQUEUED = 500
local function requeue(s)
  local function add(from)
    local flat = call('ZRANGE', key(s, 'backorder'), from, from + REQUEUED - 1, 'WITHSCORES')
    for i = 1, #flat, 2 do
      local want = call('HGET', key(s, 'reservation', ':' .. flat[i]), 'want')
      for _, name in ipairs(queues(s, want)) do call('ZADD', name, flat[i + 1], flat[i]) end
    end
    return #flat / 2
  end
  add(0)
  s.queued = math.min(s.waiting, s.queued + add(s.queued))
end

-- Gives stock to one that waits for it.
local function fill(s, id, h, list)
  leaveQueue(s, id, h.want)
  local name = key(s, 'reservation', ':' .. id)
  -- How long it may be held begins now.
  local expires = h.hold and now + h.hold or tonumber(h['until'] or h.expires)
  -- `want` stays: a repeated request is answered as the first was.
  call('HSETNX', name, 'firstExpires', h.expires)
  call('HSET', name, 'status', 'active', 'allocation', text(list), 'expires', format('%d', expires))
  holdUntil(s, id, expires)
  for _, part in ipairs(list) do change(s, 'reserve', part[1], 0, part[2], 0, { id = id, order = h.order }) end
  tell(s, {
    event = 'backorder-filled', reservation = id, order = h.order, allocation = text(list), expires = expires,
  })
end

-- Gives stock that has become free to those who wait for it, those with priority first, then who came first. One for whom
-- there is not enough is not overtaken in any warehouse that it asks. Only the first one of each warehouse's queue can be the
-- next, so nobody is gone through for whom there is nothing.
local MOST_SERVED = 100
local function serveWaiting(s)
  s.freed = false
  if s.waiting <= 0 then return end
  if s.queued < s.waiting then requeue(s) end
  local heads = {}
  local function look(warehouse)
    local c = s.warehouses[warehouse]
    local first = c and c.quantity > c.reserved
      and call('ZRANGE', key(s, 'backorder', ':' .. warehouse), 0, 0, 'WITHSCORES') or {}
    heads[warehouse] = first[1] and { id = first[1], score = tonumber(first[2]) } or nil
  end
  for warehouse in pairs(s.warehouses) do look(warehouse) end
  for _ = 1, MOST_SERVED do
    local place, next
    for warehouse, head in pairs(heads) do
      if not next or head.score < next.score then place, next = warehouse, head end
    end
    if not next then return end
    local id = next.id
    local h = hold(s, id)
    if h and h.status == 'waiting' then
      local wanted = cjson.decode(h.want)
      local list = allocate(wanted.want, function(warehouse)
        return heads[warehouse] and free(s, warehouse, wanted.kept) or 0
      end)
      if list then fill(s, id, h, list) end
      for _, part in ipairs(wanted.want) do
        for _, warehouse in ipairs(part.from) do
          if not list then heads[warehouse] = nil elseif heads[warehouse] then look(warehouse) end
        end
      end
    else
      call('ZREM', key(s, 'backorder', ':' .. place), id)
      if call('ZREM', key(s, 'backorder'), id) == 1 then
        s.waiting, s.queued = s.waiting - 1, math.max(0, s.queued - 1)
      end
      look(place)
    end
  end
  s.isUnfinished = next(heads) ~= nil
end

-- Holds that a new one takes the place of, and what they have by warehouse; or the answer why it may not.
local function replaced(s, ids)
  local list, own = {}, {}
  for i, id in ipairs(ids or {}) do
    local h = hold(s, id)
    local status = h and h.status ~= 'void' and h.status or 'missing'
    if h and h.set then status = 'line' end
    if status ~= 'active' and status ~= 'waiting' then return nil, { 'replaced', id, status } end
    list[i] = h
    if status == 'active' then
      for _, part in ipairs(parts(h.allocation)) do own[part[1]] = (own[part[1]] or 0) + part[2] end
    end
  end
  return list, own
end

-- {id, want = {{from, n, split}}, order, expires | holdMs, waitMs, priority, kept, request, set, step, backorder, replaces,
-- actor, key}
local function reserve(s, op)
  local h, flat = hold(s, op.id)
  -- What an attempt at an order left behind that was given up keeps only its own steps out.
  local isVoid = h and h.status == 'void' and not isLate(h, op) and tonumber(h.step) ~= op.step
  if h and not isVoid then
    if isLate(h, op) then return { 'late' } end
    return { 'existing', unpack(flat) }
  end
  local expires = op.expires or now + op.holdMs
  if expires <= now then return { 'past' } end
  if isFar(op) then return { 'far' } end
  local others, own = replaced(s, op.replaces)
  if not others then return own end
  local list, had = allocate(op.want, comer(s, op.kept, op.priority, own))
  if not list and not op.backorder then return { 'short', format('%d', had) } end
  for i, other in ipairs(others) do
    release(s, op.replaces[i], other, 'cancelled', 'cancel', { reason = 'replaced', actor = op.actor, key = op.key })
    call('HSET', key(s, 'reservation', ':' .. op.replaces[i]), 'replacedBy', op.id)
  end
  local ends = expires
  if not list and op.waitMs then
    ends = now + op.waitMs
    if op.expires then ends = math.min(ends, expires) end
  end
  local fields = {
    'status', list and 'active' or 'waiting', 'allocation', list and text(list) or '', 'created', stamp, 'expires',
    format('%d', ends),
  }
  local function add(name, value)
    if value then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  add('order', op.order)
  add('priority', op.priority and format('%d', op.priority))
  add('request', op.request)
  add('set', op.set)
  add('step', op.step and format('%d', op.step))
  local want
  if not list then
    want = cjson.encode({ want = op.want, kept = op.kept })
    add('want', want)
    if op.expires then add('until', format('%d', op.expires)) else add('hold', format('%d', op.holdMs)) end
  end
  if isVoid then call('DEL', key(s, 'reservation', ':' .. op.id)) end
  call('HSET', key(s, 'reservation', ':' .. op.id), unpack(fields))
  holdUntil(s, op.id, ends)
  if list then
    for _, part in ipairs(list) do change(s, 'reserve', part[1], 0, part[2], 0, op) end
  else
    s.waiting = s.waiting + 1
    s.queued = s.queued + 1
    s.changes = s.changes + 1
    s.version = s.version + 1
    -- Those with priority first, then who came first: versions tell that, many come in one ms.
    local score = format('%d', (100 - (op.priority or 0)) * 1e13 + s.version)
    for _, name in ipairs(queues(s, want)) do call('ZADD', name, score, op.id) end
  end
  return { 'held', unpack(fields) }
end

-- The hold an operation is about; or the answer to give instead.
local function held(s, op, status)
  local h, flat = hold(s, op.id)
  if not h or h.status == 'void' and not op.step then return nil, { 'missing' } end
  if h.set and h.set ~= op.set then return nil, { 'line', h.set } end
  if isLate(h, op) then return nil, { 'late' } end
  if h.status == status then return nil, { 'same', unpack(flat) } end
  if h.status ~= 'active' and not (h.status == 'waiting' and status ~= 'confirmed') then
    return nil, { 'state', unpack(flat) }
  end
  return h
end

local function answer(s, op)
  local _, flat = hold(s, op.id)
  return { 'done', unpack(flat) }
end

-- {id, quantity | parts = {warehouse = n}, set, step, actor, key}: takes what was held, or a part of it; the rest is released.
local function confirm(s, op)
  local h, instead = held(s, op, 'confirmed')
  if not h then return instead end
  local list, rest, confirmed = parts(h.allocation), op.quantity, {}
  local had, known = 0, {}
  for i, part in ipairs(list) do
    local n = part[2]
    if op.parts then
      n = op.parts[part[1]] or 0
    elseif rest then
      n = math.min(n, rest)
      rest = rest - n
    end
    if n > part[2] then return { 'more', format('%d', part[2]) } end
    known[part[1]] = true
    had = had + part[2]
    confirmed[i] = { part[1], n }
  end
  if rest and rest > 0 then return { 'more', format('%d', had) } end
  for warehouse in pairs(op.parts or {}) do
    if not known[warehouse] then return { 'more', '0' } end
  end
  -- A count or a write-off may have left less than is reserved. A line of an order that is confirmed already takes what is
  -- there.
  local isLess = false
  for _, part in ipairs(confirmed) do
    local there = math.max(0, counters(s, part[1]).quantity)
    if there < part[2] then
      if not op.step then return { 'lacking', format('%d', there) } end
      part[2], isLess = there, true
    end
  end
  op.order = h.order
  for i, part in ipairs(list) do change(s, 'confirm', part[1], -confirmed[i][2], -part[2], 0, op) end
  if op.quantity or op.parts or isLess then
    if op.key then call('HSET', key(s, 'reservation', ':' .. op.id), 'confirmKey', op.key) end
    close(s, op.id, 'confirmed', 'confirmed', text(confirmed))
  else
    close(s, op.id, 'confirmed')
  end
  return answer(s, op)
end

-- {id, set, reason, actor, key}
local function cancel(s, op)
  local h, instead = held(s, op, 'cancelled')
  if not h then return instead end
  release(s, op.id, h, 'cancelled', 'cancel', { reason = op.reason, actor = op.actor, key = op.key })
  return answer(s, op)
end

-- {id, expires | holdMs, set, step}: a later or an earlier end, from now at most 30 days away.
local function extend(s, op)
  local h, instead = held(s, op, 'extended')
  if not h then return instead end
  local expires = op.expires or now + op.holdMs
  if expires <= now then return { 'past' } end
  if isFar(op) then return { 'far' } end
  local name = key(s, 'reservation', ':' .. op.id)
  -- What a repeated request was answered with stays known.
  call('HSETNX', name, 'firstExpires', h.expires)
  call('HSET', name, 'expires', format('%d', expires))
  if h['until'] then call('HDEL', name, 'until') end
  if op.step then call('HSET', name, 'step', format('%d', op.step)) end
  holdUntil(s, op.id, expires)
  s.changes = s.changes + 1
  return answer(s, op)
end

-- {id, n, kept, actor, key}: another quantity. More is taken where the hold has its stock, less is given back from the last
-- of its warehouses on.
local function resize(s, op)
  local h, instead = held(s, op, 'resized')
  if not h then return instead end
  local name = key(s, 'reservation', ':' .. op.id)
  local had, list = 0, {}
  local wanted = h.status == 'waiting' and cjson.decode(h.want)
  if wanted then
    had = wanted.want[1].n
  else
    list = parts(h.allocation)
    for _, part in ipairs(list) do had = had + part[2] end
  end
  if op.n == had then
    local _, flat = hold(s, op.id)
    return { 'same', unpack(flat) }
  end
  if wanted then
    wanted.want[1].n = op.n
    call('HSETNX', name, 'firstWant', h.want)
    call('HSET', name, 'want', cjson.encode(wanted))
    s.changes = s.changes + 1
    s.freed = true
    return answer(s, op)
  end
  local changes, rest = {}, op.n - had
  if rest > 0 then
    local most = comer(s, not h.priority and op.kept or nil, tonumber(h.priority))
    for i, part in ipairs(list) do
      changes[i] = math.min(rest, math.max(0, most(part[1])))
      rest = rest - changes[i]
    end
    if rest > 0 then return { 'short', format('%d', op.n - rest) } end
  else
    for i = #list, 1, -1 do
      changes[i] = -math.min(-rest, list[i][2])
      rest = rest - changes[i]
    end
  end
  local left = {}
  op.order = h.order
  for i, part in ipairs(list) do
    if changes[i] ~= 0 then change(s, 'resize', part[1], 0, changes[i], 0, op) end
    if part[2] + changes[i] > 0 then left[#left + 1] = { part[1], part[2] + changes[i] } end
  end
  -- What a repeated request was answered with stays known.
  call('HSETNX', name, 'firstAllocation', h.allocation)
  call('HSET', name, 'allocation', text(left))
  return answer(s, op)
end

-- What is known of a hold: nothing is changed, but lapsed ones are released before.
local function show(s, op)
  local h, flat = hold(s, op.id)
  return h and h.status ~= 'void' and { 'done', unpack(flat) } or { 'missing' }
end
