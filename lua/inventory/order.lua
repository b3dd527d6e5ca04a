#!lua
-- Reserves stock of several SKUs for one order, and ends or extends what was reserved: all of it or nothing, in one step.
-- Each SKU's part is a hold beside its stock, under the same id; the holds say how the order stands. For one Redis only: on
-- a cluster the keys lie in several slots, and the same is done line by line (order_step).
--
-- KEYS    [1] `qm:order:{id}`, hash: `order`, `created`, `expires`, `request`, `skus`; [2…] `qm:stock:{SKU}` of each SKU,
--         and what `commit` has beside it. No guard: no slot of one Redis is ever moved
-- ARGV    [1] now in ms or empty; [2] the operation as JSON: `op` (reserve, confirm, cancel, extend, show), `id`, and of
--         `reserve`: `lines` (for each SKU `want`, `kept`), `order`, `expires` or `holdMs`, `priority`, `request`; of
--         `confirm`: `parts` (for each SKU quantities by warehouse, or false), of `extend`: `expires` or `holdMs`
-- RETURNS `more`: call again. Else {now, events to tell, word, …}: `held`, `existing`, `done`, `same` or `state` and the
--         order's hash, then for each SKU {product id, its hold}; {`short`, SKU's place, how much could be had};
--         {`unknown`, place}; {`more`, place, how much is held}; {`lacking`, place}: less is there than is held;
--         `missing`; `past`; `far`, if its end is; `other`, if the
--         id is of another reservation
-- EFFECTS those of `commit` for each SKU; the hash, which lives a week longer than its holds
-- COST    O(k log n), k the SKUs, n their holds; at most 500 lapsed holds of each
local op = cjson.decode(ARGV[2])
local name = KEYS[1]
local set = 'order~' .. op.id

local subjects = {}
for i = 2, #KEYS do subjects[i - 1] = read(KEYS[i]) end

local function finishAll()
  local events = 0
  for _, s in ipairs(subjects) do
    finish(s)
    events = events + s.outbox
  end
  return format('%d', events)
end

for i, s in ipairs(subjects) do
  if not s.exists then return { stamp, '0', 'unknown', format('%d', i) } end
end
local isReady = true
for _, s in ipairs(subjects) do
  if not releaseLapsed(s) then isReady = false end
end
if not isReady then
  for _, s in ipairs(subjects) do finish(s, true) end
  return 'more'
end

for _, s in ipairs(subjects) do
  if s.freed then serveWaiting(s) end
end

local function reply(word, ...)
  return { stamp, finishAll(), word, ... }
end

-- The order and its holds as they stand now.
local function whole(word)
  local flat = call('HGETALL', name)
  local lines = {}
  for i, s in ipairs(subjects) do
    local _, fields = hold(s, op.id)
    lines[i] = { s.product, unpack(fields or {}) }
  end
  return reply(word, flat, unpack(lines))
end

local function keepUntil(expires) call('PEXPIRE', name, expires - now + KEPT_ENDED_MS) end

local exists = call('EXISTS', name) == 1

if op.op == 'reserve' then
  local skus = {}
  for i, s in ipairs(subjects) do skus[i] = string.sub(s.tag, 2, -2) end
  local names = table.concat(skus, ' ')
  if exists then
    -- Made by another request: its holds are not all of those that this one names.
    if call('HGET', name, 'skus') ~= names then return reply('other') end
    return whole('existing')
  end
  -- A hold under this id that no order knows was made under the same key by a request for one product.
  for _, s in ipairs(subjects) do
    local h = hold(s, op.id)
    if h and h.status ~= 'void' then return reply('other') end
  end
  local expires = op.expires or now + op.holdMs
  if expires <= now then return reply('past') end
  if isFar(op) then return reply('far') end
  for i, s in ipairs(subjects) do
    local list, had = allocate(op.lines[i].want, comer(s, op.lines[i].kept, op.priority))
    if not list then return reply('short', format('%d', i), format('%d', had)) end
  end
  call('HSET', name, 'order', op.order or '', 'created', stamp, 'expires', format('%d', expires), 'request',
    op.request or '', 'skus', names)
  keepUntil(expires)
  for i, s in ipairs(subjects) do
    reserve(s, {
      id = op.id, want = op.lines[i].want, kept = op.lines[i].kept, order = op.order, expires = expires,
      priority = op.priority, set = set, actor = op.actor, key = op.key,
    })
  end
  return whole('held')
end

if not exists then return reply('missing') end
if op.op == 'show' then return whole('done') end

local WANTED = { confirm = 'confirmed', cancel = 'cancelled', extend = 'extended' }
local DO = { confirm = confirm, cancel = cancel, extend = extend }
local same = 0
for i, s in ipairs(subjects) do
  local h, instead = held(s, { id = op.id, set = set }, WANTED[op.op])
  if not h then
    if instead[1] ~= 'same' then return whole('state') end
    same = same + 1
  elseif op.op == 'confirm' then
    local had, taken = {}, op.parts and op.parts[i]
    for _, part in ipairs(parts(h.allocation)) do
      had[part[1]] = part[2]
      if counters(s, part[1]).quantity < (taken and (taken[part[1]] or 0) or part[2]) then
        return reply('lacking', format('%d', i))
      end
    end
    for warehouse, n in pairs(taken or {}) do
      if n > (had[warehouse] or 0) then
        return reply('more', format('%d', i), format('%d', had[warehouse] or 0))
      end
    end
  end
end
if same > 0 then return whole('same') end
local expires = op.expires or op.holdMs and now + op.holdMs
if expires and expires <= now then return reply('past') end
if isFar(op) then return reply('far') end
for i, s in ipairs(subjects) do
  DO[op.op](s, {
    id = op.id, set = set, parts = op.parts and op.parts[i] or nil, expires = expires, reason = op.reason,
    actor = op.actor, key = op.key,
  })
end
if op.op == 'extend' then
  call('HSETNX', name, 'firstExpires', call('HGET', name, 'expires'))
  call('HSET', name, 'expires', format('%d', expires))
  keepUntil(expires)
else
  call('PEXPIRE', name, KEPT_ENDED_MS)
end
return whole('done')
