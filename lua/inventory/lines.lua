-- Lines of an order whose SKUs lie in several slots. Each is a hold beside its stock, with `set`, the order's id, and `step`,
-- the number of the order's step that was at it last. Several processes may be at one order, and one of them may come late:
-- who comes with a lower number than the line's does nothing, and is answered `late`. Joined behind `holds`.

-- For how long a line that was given up is known, so that whoever is still at it is kept out.
local KEPT_VOID_MS = 3600000

-- {id, set, step}: from here on the hold can't lapse; its order is about to be confirmed.
local function pin(s, op)
  local h, flat = hold(s, op.id)
  if not h then return { 'missing' } end
  if isLate(h, op) then return { 'late' } end
  if h.status == 'confirmed' then return { 'same', unpack(flat) } end
  if h.status ~= 'active' then return { 'state', unpack(flat) } end
  for _, part in ipairs(parts(h.allocation)) do
    if counters(s, part[1]).quantity < part[2] then return { 'lacking' } end
  end
  call('HSET', key(s, 'reservation', ':' .. op.id), 'step', format('%d', op.step))
  call('ZADD', key(s, 'expiry'), format('%d', MOST), op.id)
  s.changes = s.changes + 1
  return answer(s, op)
end

-- {id, set, step, status = void|cancelled|expired, actor, key}: gives back what the line has. Where there is none yet its
-- place is taken, so that nobody makes it afterwards.
local function void(s, op)
  local h, flat = hold(s, op.id)
  if h and isLate(h, op) then return { 'late' } end
  if h and h.status == 'confirmed' then return { 'state', unpack(flat) } end
  local name = key(s, 'reservation', ':' .. op.id)
  if h and h.status == 'active' then
    release(s, op.id, h, op.status, op.status == 'expired' and 'expire' or 'cancel', { actor = op.actor, key = op.key })
  elseif not h then
    call('HSET', name, 'allocation', '', 'created', stamp, 'expires', stamp, 'ended', stamp, 'set', op.set)
  end
  call('HSET', name, 'status', op.status, 'step', format('%d', op.step))
  call('PEXPIRE', name, op.status == 'void' and KEPT_VOID_MS or KEPT_ENDED_MS)
  s.changes = s.changes + 1
  return answer(s, op)
end
