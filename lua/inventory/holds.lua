-- What can be done to holds. Each function judges one operation against the SKU as it stands after those before it, and
-- answers with words. Joined behind `stock` and `levels`.

-- What a hold may take in a warehouse: available, less the share that is kept for those with priority.
local function free(s, warehouse, kept)
  local c = counters(s, warehouse)
  local share = kept and kept[warehouse]
  return c.quantity - c.reserved - (share and math.ceil(c.quantity * share / 1000) or 0)
end

-- Where the wanted quantities can be had, in the order of the given warehouses.
-- Returns the parts, or nil and how many could be had.
local function allocate(s, want, kept)
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
    local rest, most = wanted.n, 0
    for _, warehouse in ipairs(wanted.from) do
      local can = math.max(0, free(s, warehouse, kept) - (taken[warehouse] and taken[warehouse][2] or 0))
      if wanted.split then
        if rest > 0 and can > 0 then
          local n = math.min(rest, can)
          take(warehouse, n)
          rest = rest - n
        end
      else
        most = math.max(most, can)
        if rest > 0 and can >= rest then
          take(warehouse, rest)
          rest = 0
        end
      end
    end
    if rest > 0 then
      short = true
      had = had + most
    end
  end
  if short then return nil, had end
  return list
end

local function holdUntil(s, id, expires)
  call('ZADD', key(s, 'expiry'), format('%d', expires), id)
  if not s.nextExpiry or expires < s.nextExpiry then s.nextExpiry = expires end
end

-- Whether a step on a line of an order comes after a later one: nothing may be done by it. See lines.lua.
local function isLate(h, op)
  return op.step and (h.set ~= op.set or tonumber(h.step or 0) > op.step)
end

-- {id, want = {{from, n, split}}, order, expires | holdMs, priority, kept, request, set, step, backorder, actor, key}
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
  local list, had = allocate(s, op.want, op.kept)
  if not list and not op.backorder then return { 'short', format('%d', had) } end
  local fields = {
    'status', list and 'active' or 'waiting', 'allocation', list and text(list) or '', 'created', stamp, 'expires',
    format('%d', expires),
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
  if not list then add('want', cjson.encode({ want = op.want, kept = op.kept })) end
  if isVoid then call('DEL', key(s, 'reservation', ':' .. op.id)) end
  call('HSET', key(s, 'reservation', ':' .. op.id), unpack(fields))
  holdUntil(s, op.id, expires)
  if list then
    for _, part in ipairs(list) do change(s, 'reserve', part[1], 0, part[2], 0, op) end
  else
    s.waiting = s.waiting + 1
    s.changes = s.changes + 1
    s.version = s.version + 1
    -- Those with priority first, then who came first: versions tell that, many come in one ms.
    call('ZADD', key(s, 'backorder'), format('%d', (100 - (op.priority or 0)) * 1e13 + s.version), op.id)
  end
  return { 'held', unpack(fields) }
end

-- Whether a hold could take from one of these warehouses.
local function asksOneOf(warehouses, want)
  for _, wanted in ipairs(want) do
    for _, warehouse in ipairs(wanted.from) do
      if warehouses[warehouse] then return true end
    end
  end
  return false
end

-- Gives stock that has become free to those who wait for it.
local function serveWaiting(s)
  if s.waiting <= 0 then return end
  -- Nobody overtakes one for whom there is not enough, where that one asks too.
  local spokenFor = {}
  for _, id in ipairs(call('ZRANGE', key(s, 'backorder'), 0, 99)) do
    local h = hold(s, id)
    if h and h.status == 'waiting' then
      local wanted = cjson.decode(h.want)
      local list = not asksOneOf(spokenFor, wanted.want) and allocate(s, wanted.want, wanted.kept)
      if list then
        leaveQueue(s, id)
        -- `want` stays: a repeated request is answered as the first was.
        call('HSET', key(s, 'reservation', ':' .. id), 'status', 'active', 'allocation', text(list))
        for _, part in ipairs(list) do change(s, 'reserve', part[1], 0, part[2], 0, { id = id, order = h.order }) end
        tell(s, { event = 'backorder-filled', reservation = id, order = h.order, allocation = text(list) })
      else
        for _, part in ipairs(wanted.want) do
          for _, warehouse in ipairs(part.from) do spokenFor[warehouse] = true end
        end
      end
    else
      leaveQueue(s, id)
    end
  end
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
  op.order = h.order
  for i, part in ipairs(list) do change(s, 'confirm', part[1], -confirmed[i][2], -part[2], 0, op) end
  if op.quantity or op.parts then
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
  local name = key(s, 'reservation', ':' .. op.id)
  -- What a repeated request was answered with stays known.
  call('HSETNX', name, 'firstExpires', h.expires)
  call('HSET', name, 'expires', format('%d', expires))
  if op.step then call('HSET', name, 'step', format('%d', op.step)) end
  holdUntil(s, op.id, expires)
  s.changes = s.changes + 1
  return answer(s, op)
end

-- What is known of a hold: nothing is changed, but lapsed ones are released before.
local function show(s, op)
  local h, flat = hold(s, op.id)
  return h and h.status ~= 'void' and { 'done', unpack(flat) } or { 'missing' }
end
