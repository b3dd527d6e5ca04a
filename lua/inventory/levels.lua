-- Alerts of a SKU's available stock in a warehouse, raised at an edge only. Joined behind `stock`.
--
-- A product's `minStockLevel` is the level of a warning, half of it critical, none left an emergency, unless the product
-- says `critical` and `emergency` itself; `<warehouse>:warning` and the like are of one warehouse. It is resolved when
-- available is a tenth above the highest of them again. Above `maxStockLevel` is too much, until it is a twentieth below.
--
-- The stock hash keeps between which values nothing can happen (`<warehouse>:below`, `<warehouse>:above`, both exclusive),
-- so that whoever changes stock need not read the alert.
local RANK = { warning = 1, critical = 2, emergency = 3 }
local EVENTS = { warning = 'low-stock', critical = 'low-stock', emergency = 'out-of-stock', overstock = 'overstock' }

local function thresholds(s, warehouse)
  local product = s.thresholds
  if not product then
    product = map(call('HGETALL', key(s, 'product')))
    s.thresholds = product
  end
  local function own(name) return tonumber(product[warehouse .. ':' .. name]) end
  local warning = own('warning') or tonumber(product.minStockLevel) or 0
  local critical = own('critical') or tonumber(product.critical) or math.floor(warning / 2)
  local emergency = own('emergency') or tonumber(product.emergency) or 0
  return {
    warning = warning, critical = critical, emergency = emergency,
    -- Whichever comes first on the way down: a critical level may lie above that of a warning.
    first = math.max(warning, critical, emergency),
    most = own('max') or tonumber(product.maxStockLevel),
  }
end

local function levelAt(available, t)
  if available <= t.emergency then return 'emergency' end
  if available <= t.critical then return 'critical' end
  if available <= t.warning then return 'warning' end
  if t.most and available > t.most then return 'overstock' end
end

local function raise(s, warehouse, alert, old, level, available, t)
  local name = key(s, 'alert', ':' .. warehouse)
  local number = tonumber(alert.number or 0)
  if not old then number = number + 1 end
  local fields = {
    'number', number, 'level', level, 'status', 'active', 'available', format('%d', available), 'threshold',
    format('%d', level == 'overstock' and t.most or t[level]), 'changed', stamp,
  }
  if not old then
    fields[#fields + 1] = 'created'
    fields[#fields + 1] = stamp
    call('DEL', name)
  else
    -- Worse than what somebody has seen is to be seen again.
    call('HDEL', name, 'acknowledged', 'acknowledgedBy', 'escalated')
  end
  call('HSET', name, unpack(fields))
  call('PERSIST', name)
  tell(s, {
    event = EVENTS[level], warehouse = warehouse, level = level, available = available, number = number,
    threshold = level == 'overstock' and t.most or t[level],
  })
end

local function resolve(s, warehouse, alert, available)
  local name = key(s, 'alert', ':' .. warehouse)
  call('HSET', name, 'status', 'resolved', 'available', format('%d', available), 'changed', stamp, 'resolved', stamp)
  call('PEXPIRE', name, KEPT_ENDED_MS)
  tell(s, {
    event = 'resolved', warehouse = warehouse, level = alert.level, available = available,
    number = tonumber(alert.number),
  })
end

-- Looks at a warehouse whose available stock has changed.
local function watch(s, warehouse)
  local c = counters(s, warehouse)
  local available = c.quantity - c.reserved
  if c.below and available > c.below and available < (c.above or math.huge) then return end
  local t = thresholds(s, warehouse)
  local alert = map(call('HGETALL', key(s, 'alert', ':' .. warehouse)))
  local old = alert.status ~= nil and alert.status ~= 'resolved' and alert.level or nil
  local new = levelAt(available, t)
  local calm = t.first + math.ceil(t.first / 10)
  local low = t.most and t.most - math.ceil(t.most / 20)
  if old == 'overstock' then
    if available > low then new = old end
  elseif old then
    if not new and available <= calm then new = old end
    if new and (RANK[new] or 0) > 0 and RANK[new] < RANK[old] then new = old end
  end
  if new ~= old then
    if old and (not new or new == 'overstock' or old == 'overstock') then
      resolve(s, warehouse, alert, available)
      old = nil
    end
    if new then raise(s, warehouse, alert, old, new, available, t) end
  end
  local threshold = new and format('%d', new == 'overstock' and t.most or t[new])
  if new and new == old and alert.threshold ~= threshold then
    call('HSET', key(s, 'alert', ':' .. warehouse), 'threshold', threshold)
  end
  if new == 'overstock' then
    c.below, c.above = low, nil
  elseif new then
    c.below = new == 'warning' and math.max(t.critical, t.emergency) or new == 'critical' and t.emergency or -1
    c.above = calm + 1
  else
    c.below, c.above = t.first, t.most and t.most + 1
  end
  s.bounded = s.bounded or {}
  s.bounded[warehouse] = true
end

-- {}: what is known of its thresholds has changed. A warehouse that never had any stock has no alert.
local function look(s)
  for warehouse, c in pairs(s.warehouses) do
    local status = call('HGET', key(s, 'alert', ':' .. warehouse), 'status')
    if c.quantity ~= 0 or c.reserved ~= 0 or (status and status ~= 'resolved') then
      c.below, c.above = nil, nil
      s.shifted[warehouse] = true
    end
  end
  return { 'done' }
end
