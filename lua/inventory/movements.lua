-- What changes stock on hand: adjustments, counts, write-offs, transfers. Joined behind `stock` and `levels`.

-- The answer that an operation was given before, under its id; a repeated one has no second effect. A refusal that is final
-- is kept as JSON.
local function earlier(s, op)
  local text = call('GET', key(s, 'adjustment', ':' .. op.id))
  if not text then return end
  if string.sub(text, 1, 1) == '[' then return cjson.decode(text) end
  return { 'existing', text }
end

-- What a quantity becomes by an adjustment, which takes what is reserved only by `force`; or nil, and the answer when it may
-- not.
local function adjusted(op, quantity, reserved)
  if op.expected and op.expected ~= quantity then return nil, { 'expected', format('%d', quantity) } end
  local after = op.n
  if op.type == 'add' then after = quantity + op.n end
  if op.type == 'subtract' then after = quantity - op.n end
  if after > MOST then return nil, { 'limit', format('%d', quantity) } end
  if after < 0 or (after < reserved and after < quantity and not op.force) then
    return nil, { 'below', format('%d', quantity), format('%d', reserved) }
  end
  return after
end

-- {id, w, type = add|subtract|set, n, expected, force, kind, reason, actor, key, request, keepMs, final}: `final` where a
-- refusal is to be the answer for good.
local function adjust(s, op)
  local before = earlier(s, op)
  if before then return before end
  local c = counters(s, op.w)
  local quantity, refusal = adjusted(op, c.quantity, c.reserved)
  if not quantity then
    if op.final then call('SET', key(s, 'adjustment', ':' .. op.id), cjson.encode(refusal), 'PX', op.keepMs) end
    return refusal
  end
  local previous = c.quantity
  -- What leaves all as it is leaves no trace either, unless somebody has counted.
  if quantity ~= previous or op.kind == 'count' then
    change(s, op.kind or 'adjust', op.w, quantity - previous, 0, 0, op, op.type == 'set')
  end
  if op.force then
    -- What somebody has looked at is where a ledger begins anew that did not join before.
    s.isCounted = op.kind == 'count'
    if quantity < c.reserved then
      tell(s, {
        event = 'oversold', warehouse = op.w, available = quantity - c.reserved, missing = c.reserved - quantity,
      })
    end
  end
  local result = format(
    '%s %d %d %d %d %d', op.request or '-', previous, c.quantity, c.reserved, c.inTransit, now)
  call('SET', key(s, 'adjustment', ':' .. op.id), result, 'PX', op.keepMs or 60000)
  return { 'adjusted', result }
end

local function transferAnswer(s, id)
  return { 'done', unpack(call('HGETALL', key(s, 'transfer', ':' .. id))) }
end

-- {id, from, to, n, reason, actor, key, request}: holds the stock in the warehouse that it is to leave.
local function transfer(s, op)
  local name = key(s, 'transfer', ':' .. op.id)
  local flat = call('HGETALL', name)
  if #flat > 0 then return { 'existing', unpack(flat) } end
  local available = free(s, op.from)
  if available < op.n then return { 'short', format('%d', math.max(0, available)) } end
  change(s, 'transfer', op.from, 0, op.n, 0, op)
  local fields = {
    'status', 'pending', 'from', op.from, 'to', op.to, 'quantity', format('%d', op.n), 'created', stamp, 'changed',
    stamp, 'reason', op.reason or '', 'request', op.request or '',
  }
  call('HSET', name, unpack(fields))
  call('SADD', key(s, 'transfers'), op.id)
  return { 'held', unpack(fields) }
end

-- {id, to = in-transit|received|cancelled, n, actor, key}: `n` of a reception: what arrived, if not all of it.
local function moveOn(s, op)
  local name = key(s, 'transfer', ':' .. op.id)
  local flat = call('HGETALL', name)
  if #flat == 0 then return { 'missing' } end
  local t = map(flat)
  if t.status == op.to then return { 'same', unpack(flat) } end
  local n = tonumber(t.quantity)
  if op.n and op.n > n then return { 'more', t.quantity } end
  if op.to == 'in-transit' and t.status == 'pending' then
    local there = counters(s, t.from).quantity
    if there < n then return { 'lacking', format('%d', there) } end
    change(s, 'ship', t.from, -n, -n, 0, op)
    change(s, 'ship', t.to, 0, 0, n, op)
  elseif op.to == 'received' and t.status == 'in-transit' then
    local arrived = op.n or n
    if arrived > 0 then change(s, 'receive', t.to, arrived, 0, -arrived, op) end
    if arrived < n then change(s, 'lost', t.to, 0, 0, arrived - n, op) end
  elseif op.to == 'cancelled' and t.status == 'pending' then
    change(s, 'transfer-cancel', t.from, 0, -n, 0, op)
  elseif op.to == 'cancelled' and t.status == 'in-transit' then
    change(s, 'transfer-cancel', t.to, 0, 0, -n, op)
    change(s, 'transfer-cancel', t.from, n, 0, 0, op)
  else
    return { 'state', unpack(flat) }
  end
  call('HSET', name, 'status', op.to, 'changed', stamp)
  if op.n then call('HSET', name, 'received', format('%d', op.n)) end
  if op.to ~= 'in-transit' then
    call('PEXPIRE', name, KEPT_ENDED_MS)
    call('SREM', key(s, 'transfers'), op.id)
  end
  return transferAnswer(s, op.id)
end

-- {rows = {{w, change = {q, r, t}, lacking = {q, r, t}}}, at, corrections, reason, actor}: counters change by `change`, and
-- the ledger by `lacking`, which makes both what they must be. Since what is wrong stays as it is while the SKU trades, it may
-- have traded since it was looked at; unless counters and ledger differ: then the ledger's newest entry must be `at`. Under
-- a number of `corrections` it is done once.
local function correct(s, op)
  if tonumber(s.corrections or 0) ~= op.corrections then return { 'changed' } end
  if op.at then
    local newest = call('XREVRANGE', key(s, 'ledger'), '+', '-', 'COUNT', 1)[1]
    if (newest and newest[1] or '') ~= op.at then return { 'changed' } end
  end
  for _, row in ipairs(op.rows) do
    local c = counters(s, row.w)
    local quantity, reserved = c.quantity + row.change[1], c.reserved + row.change[2]
    if quantity < 0 or reserved < 0 or reserved > quantity or c.inTransit + row.change[3] < 0 then
      return { 'exceeds', row.w, format('%d', reserved), format('%d', quantity) }
    end
  end
  for _, row in ipairs(op.rows) do
    local c = counters(s, row.w)
    c.quantity = c.quantity + row.change[1] - row.lacking[1]
    c.reserved = c.reserved + row.change[2] - row.lacking[2]
    c.inTransit = c.inTransit + row.change[3] - row.lacking[3]
    change(s, 'correction', row.w, row.lacking[1], row.lacking[2], row.lacking[3], op)
  end
  call('HSET', s.stock, 'corrections', format('%d', op.corrections + 1))
  return { 'done' }
end

-- {holds, transfers}: puts those that are open back where what is open is found, and has what is due first, and who waits,
-- as the lists have it.
local function list(s, op)
  for _, id in ipairs(op.holds) do
    local h = hold(s, id)
    if h and (h.status == 'active' or h.status == 'waiting') and not call('ZSCORE', key(s, 'expiry'), id) then
      call('ZADD', key(s, 'expiry'), h.expires, id)
    end
  end
  for _, id in ipairs(op.transfers) do
    local status = call('HGET', key(s, 'transfer', ':' .. id), 'status')
    if status == 'pending' or status == 'in-transit' then call('SADD', key(s, 'transfers'), id) end
  end
  s.nextExpiry = tonumber(call('ZRANGE', key(s, 'expiry'), 0, 0, 'WITHSCORES')[2])
  s.waiting = call('ZCARD', key(s, 'backorder'))
  s.changes = s.changes + 1
  return { 'done' }
end
