#!lua
-- Makes a product, or changes what is known of it.
--
-- KEYS    [1] `qm:product:{SKU}`, hash; [2] `qm:stock:{SKU}`, hash: `product` and `version` from here on; [3]
--         `qm:whole:{SKU}`, the guard: it never exists, so that a cluster answers TRYAGAIN while the slot is moved, instead
--         of failing where [1] is written anew
-- ARGV    [1] `create` or `update`; [2] now in ms or empty; [3] the version it must have, or empty; then names and values
-- RETURNS {`done`, the hash}; {`exists`, the hash}; `missing`; {`version`, the one it has}
-- EFFECTS the product; the bounds between which stock needs no look at its alerts are forgotten with each change
-- COST    O(f), f the fields of both hashes
local call = redis.call
local product, stock = KEYS[1], KEYS[2]
local now = ARGV[2]
if now == '' then
  local time = call('TIME')
  now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
end
local known = call('HMGET', product, 'version', 'created', 'id')
local fields = { unpack(ARGV, 4) }
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if ARGV[1] == 'create' then
  if known[1] then return { 'exists', unpack(call('HGETALL', product)) } end
  set('version', '1')
  set('created', now)
  set('updated', now)
  call('HSET', product, unpack(fields))
  call('HSET', stock, 'product', call('HGET', product, 'id'), 'version', '1')
else
  if not known[1] then return 'missing' end
  if ARGV[3] ~= '' and ARGV[3] ~= known[1] then return { 'version', known[1] } end
  set('id', known[3])
  set('version', string.format('%d', known[1] + 1))
  set('created', known[2])
  set('updated', now)
  call('DEL', product)
  call('HSET', product, unpack(fields))
  local bounds = {}
  for _, name in ipairs(call('HKEYS', stock)) do
    if string.find(name, ':below$') or string.find(name, ':above$') then bounds[#bounds + 1] = name end
  end
  if #bounds > 0 then call('HDEL', stock, unpack(bounds)) end
  call('HINCRBY', stock, 'version', 1)
end
return { 'done', unpack(call('HGETALL', product)) }
