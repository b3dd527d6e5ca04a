-- The end of a call: what was judged is written to the SKU's hash. Joined behind all others.

-- {now, next expiry (or now: more are to be served), entries in the outbox, product, version}, in front of the answers.
local function head(s)
  local due = s.isUnfinished and stamp or s.nextExpiry and format('%d', s.nextExpiry) or ''
  return { stamp, due, format('%d', s.outbox), s.product or '', format('%d', s.version) }
end

-- Everything the ledger before this can be forgotten with: all counters, in one entry.
local function checkpoint(s)
  local list = {}
  for warehouse, c in pairs(s.warehouses) do
    list[#list + 1] = format('%s=%d,%d,%d', warehouse, c.quantity, c.reserved, c.inTransit)
  end
  table.sort(list)
  local id = call('XADD', key(s, 'ledger'), entryID, 'type', 'checkpoint', 'warehouse', '', 'change', '', 'after',
    table.concat(list, ' '), 'id', format('%d', s.version), 'order', '', 'reason', '', 'actor', '', 'key', '')
  call('RPUSH', key(s, 'checkpoints'), id)
end

-- Writes the SKU's hash. `fence`: even if nothing has changed, so that a transaction that is still on its way fails.
local function finish(s, fence)
  if not s.exists then return end
  if fence then s.outbox = call('LLEN', key(s, 'outbox')) end
  serveWaiting(s)
  for warehouse in pairs(s.shifted) do watch(s, warehouse) end
  if s.changes == 0 and not s.bounded and not fence and s.nextExpiry == s.firstNextExpiry and s.queued == s.firstQueued then
    return
  end
  if s.version == s.firstVersion then s.version = s.version + 1 end
  local every = CHECKPOINT_EVERY
  if s.isCounted or math.floor(s.version / every) > math.floor(s.firstVersion / every) then checkpoint(s) end
  local fields, gone = { 'version', format('%d', s.version) }, {}
  local function set(name, value)
    if value then
      fields[#fields + 1] = name
      fields[#fields + 1] = format('%d', value)
    else
      gone[#gone + 1] = name
    end
  end
  for warehouse in pairs(s.touched) do
    local c = s.warehouses[warehouse]
    set(warehouse .. ':quantity', c.quantity)
    set(warehouse .. ':reserved', c.reserved)
    set(warehouse .. ':inTransit', c.inTransit ~= 0 and c.inTransit or nil)
  end
  for warehouse in pairs(s.bounded or {}) do
    local c = s.warehouses[warehouse]
    set(warehouse .. ':below', c.below)
    set(warehouse .. ':above', c.above)
  end
  if s.nextExpiry ~= s.firstNextExpiry then set('nextExpiry', s.nextExpiry) end
  if s.waiting ~= s.firstWaiting then set('waiting', s.waiting > 0 and s.waiting or nil) end
  if s.queued ~= s.firstQueued then set('queued', s.queued > 0 and s.queued or nil) end
  if s.isYoung and next(s.touched) then shrinkLedger(s) end
  call('HSET', s.stock, unpack(fields))
  if #gone > 0 then call('HDEL', s.stock, unpack(gone)) end
end
