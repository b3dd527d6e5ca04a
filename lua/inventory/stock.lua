-- What the scripts of a SKU share: its counters, its ledger, its lapsed holds. Joined in front of every script of this
-- folder that changes stock.
--
-- A stock key, `qm:stock:{SKU}`, names all keys of a SKU: the others differ from it in their word only and are in its slot.
-- ARGV[1] is the time (ms) or empty for Redis's own. A hold's id here is what follows `SKU~` in the id that users see.
local call = redis.call
local format, match = string.format, string.match

local MOST = 9007199254740991
local KEPT_ENDED_MS = 604800000
-- How far away the end of a hold may be.
local LONGEST_MS = 2592000000
local CHECKPOINT_EVERY = 10000
-- Lapsed holds that one call releases.
local MOST_LAPSED = 500

local now
-- The id of a ledger entry: Redis's own, or one at the given time.
local entryID = '*'
if ARGV[1] == '' then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(ARGV[1])
  entryID = format('%d-*', now)
end
local stamp = format('%d', now)

-- The counters of a SKU in a warehouse; zero where it never had any.
local function counters(s, warehouse)
  local c = s.warehouses[warehouse]
  if not c then
    c = { quantity = 0, reserved = 0, inTransit = 0 }
    s.warehouses[warehouse] = c
  end
  return c
end

local function key(s, word, rest) return s.prefix .. word .. ':' .. s.tag .. (rest or '') end

-- Reads a SKU. `exists` is false where no such product was ever made.
local function read(stock)
  local prefix, tag = match(stock, '^(.*)stock:({.*})$')
  local s = {
    stock = stock, prefix = prefix, tag = tag, warehouses = {}, touched = {}, shifted = {}, changes = 0, outbox = 0,
  }
  local flat = call('HGETALL', stock)
  for i = 1, #flat, 2 do
    local warehouse, name = match(flat[i], '^(.*):(%a+)$')
    if warehouse then
      counters(s, warehouse)[name] = tonumber(flat[i + 1])
    else
      s[flat[i]] = flat[i + 1]
    end
  end
  s.exists = s.product ~= nil
  s.isYoung = next(s.warehouses) == nil
  s.version = tonumber(s.version or 0)
  s.nextExpiry = tonumber(s.nextExpiry)
  s.waiting = tonumber(s.waiting or 0)
  s.queued = tonumber(s.queued or 0)
  s.firstVersion, s.firstNextExpiry, s.firstWaiting, s.firstQueued = s.version, s.nextExpiry, s.waiting, s.queued
  return s
end

-- Changes counters and tells the ledger. `about`: id, order, reason, actor, key. `isSet`: what was found to be there was set,
-- which says nothing of what is asked for.
local function change(s, kind, warehouse, quantity, reserved, inTransit, about, isSet)
  local c = counters(s, warehouse)
  c.quantity = c.quantity + quantity
  c.reserved = c.reserved + reserved
  c.inTransit = c.inTransit + inTransit
  s.touched[warehouse] = true
  -- What is available has changed; or become more, which somebody may wait for.
  if quantity ~= reserved then s.shifted[warehouse] = true end
  if quantity > reserved then s.freed = true end
  s.changes = s.changes + 1
  s.version = s.version + 1
  local entry = {
    'type', kind, 'warehouse', warehouse,
    'change', format('%d,%d,%d', quantity, reserved, inTransit),
    'after', format('%d,%d,%d', c.quantity, c.reserved, c.inTransit),
    'id', about.id or '', 'order', about.order or '', 'reason', about.reason or '', 'actor', about.actor or '',
    'key', about.key or '',
  }
  if isSet then
    entry[#entry + 1] = 'set'
    entry[#entry + 1] = '1'
  end
  call('XADD', key(s, 'ledger'), entryID, unpack(entry))
end

-- A stream takes 4 KB for its first entries beforehand. A copy has the room of what is in it, and gets more as it needs it:
-- most SKUs have few changes or none. Where an access list does not know COPY, the ledger is only larger.
local function shrinkLedger(s)
  local ledger, copy = key(s, 'ledger'), key(s, 'ledger', ':copy')
  if redis.pcall('COPY', ledger, copy, 'REPLACE') == 1 then call('RENAME', copy, ledger) end
end

-- What of a hold lies where: `warehouse-1:3 warehouse-2:1`.
local function parts(allocation)
  local list = {}
  for warehouse, n in string.gmatch(allocation, '(%S+):(%d+)') do list[#list + 1] = { warehouse, tonumber(n) } end
  return list
end

local function text(list)
  local words = {}
  for i, part in ipairs(list) do words[i] = format('%s:%d', part[1], part[2]) end
  return table.concat(words, ' ')
end

local function map(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function hold(s, id)
  local flat = call('HGETALL', key(s, 'reservation', ':' .. id))
  if #flat > 0 then return map(flat), flat end
end

-- Ends a hold: it is kept for a week, for those who ask. `...`: more fields of it.
local function close(s, id, status, ...)
  local name = key(s, 'reservation', ':' .. id)
  call('HSET', name, 'status', status, 'ended', stamp, ...)
  call('PEXPIRE', name, KEPT_ENDED_MS)
  call('ZREM', key(s, 'expiry'), id)
  s.changes = s.changes + 1
end

-- The queues that a hold which waits stands in: one of all, and one of each warehouse that it asks. `want`: as its hash has
-- it.
local function queues(s, want)
  local list, known = { key(s, 'backorder') }, {}
  for _, wanted in ipairs(want and cjson.decode(want).want or {}) do
    for _, warehouse in ipairs(wanted.from) do
      if not known[warehouse] then list[#list + 1] = key(s, 'backorder', ':' .. warehouse) end
      known[warehouse] = true
    end
  end
  return list
end

-- Takes a hold that waits for stock from its queues.
local function leaveQueue(s, id, want)
  for i, name in ipairs(queues(s, want)) do
    if call('ZREM', name, id) == 1 and i == 1 then
      s.waiting = s.waiting - 1
      s.queued = math.max(0, s.queued - 1)
    end
  end
end

-- Gives back what a hold had.
local function release(s, id, h, status, kind, about)
  about.id, about.order = id, h.order
  if h.status == 'waiting' then
    leaveQueue(s, id, h.want)
  else
    for _, part in ipairs(parts(h.allocation)) do change(s, kind, part[1], 0, -part[2], 0, about) end
  end
  close(s, id, status)
end

-- Releases holds whose time has passed, before anything is judged. Returns false when there are more than one call may
-- release: then nothing is to be judged yet.
local function releaseLapsed(s)
  if not s.nextExpiry or s.nextExpiry > now then return true end
  local expiry = key(s, 'expiry')
  local due = call('ZRANGEBYSCORE', expiry, '-inf', stamp, 'LIMIT', 0, MOST_LAPSED)
  for _, id in ipairs(due) do
    local h = hold(s, id)
    if h and (h.status == 'active' or h.status == 'waiting') then
      release(s, id, h, 'expired', 'expire', {})
    else
      call('ZREM', expiry, id)
    end
  end
  local first = call('ZRANGE', expiry, 0, 0, 'WITHSCORES')
  s.nextExpiry = tonumber(first[2])
  return #due < MOST_LAPSED
end

-- Something to be told beyond the slot: the replica that made the call, or another one, takes it from here.
local function tell(s, event)
  s.told = (s.told or 0) + 1
  event.at = now
  event.product = s.product
  event.sku = string.sub(s.tag, 2, -2)
  -- Under its id an event is told once, whoever tells it: versions never come twice.
  event.id = format('%s~%d.%d', event.sku, s.version, s.told)
  s.outbox = call('RPUSH', key(s, 'outbox'), cjson.encode(event))
end
