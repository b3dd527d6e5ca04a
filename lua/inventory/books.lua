#!lua flags=no-writes
-- Reads a part of what a SKU's counters must agree with, and at which ledger entry that was so. What is read in several calls
-- is brought to one moment by the ledger entries in between, so the SKU may trade meanwhile.
--
-- KEYS    [1] `qm:stock:{SKU}`, hash; beside it, by the word in its place: `product` (hash), `reservation…:<id>` and
--         `transfer…:<id>` (hashes), `expiry` and `backorder` (sorted sets), `transfers` (set), `ledger` (stream). [2]
--         `qm:whole:{SKU}`, the guard: it never exists, so that a cluster answers TRYAGAIN while the slot is moved
-- ARGV    [1] `page`: [2] and [3] where to go on among the holds and among the open transfers (`0` at first, empty at the
--         end); or `records`: ids of holds, each behind an `h`, and of transfers, each behind a `t`
-- RETURNS {`broken`, word}: that key holds something else. Else {`page`, id of the ledger's newest entry, id of the newest
--         one there ever was, 1 if there is a product, the stock hash, first end of a hold, how many wait, next place among
--         the holds, among the transfers, holds, transfers}; a hold is {id, status, allocation, 1 if it is in `expiry`}, a
--         transfer {id, status, from, to, quantity, 1 if it is in `transfers`}. {`records`, id of the newest entry, holds,
--         transfers}: those of the ids that are there
-- EFFECTS none
-- COST    O(n), n about 500 holds and 500 transfers, or the ids
local call = redis.call
local prefix, tag = string.match(KEYS[1], '^(.*)stock:({.*})$')
local PAGE = 500
local broken

local function key(word, rest) return prefix .. word .. ':' .. tag .. (rest or '') end

-- What a command answers; nil where the key of that word holds something else.
local function read(word, command, name, ...)
  local answer = redis.pcall(command, name, ...)
  if type(answer) == 'table' and answer.err then
    broken = broken or word
    return nil
  end
  return answer
end

local function addHold(list, id)
  local h = read('reservation', 'HMGET', key('reservation', ':' .. id), 'status', 'allocation')
  if h and h[1] then
    list[#list + 1] = { id, h[1], h[2] or '', read('expiry', 'ZSCORE', key('expiry'), id) and 1 or 0 }
  end
end

local function addTransfer(list, id)
  local t = read('transfer', 'HMGET', key('transfer', ':' .. id), 'status', 'from', 'to', 'quantity')
  if t and t[1] then
    list[#list + 1] = { id, t[1], t[2] or '', t[3] or '', t[4] or '', read('transfers', 'SISMEMBER', key('transfers'), id) }
  end
end

local newest = read('ledger', 'XREVRANGE', key('ledger'), '+', '-', 'COUNT', 1)
newest = newest and newest[1] and newest[1][1] or ''
local holds, transfers = {}, {}

if ARGV[1] == 'records' then
  for i = 2, #ARGV do
    local kind, id = string.match(ARGV[i], '^(%a)(.*)$')
    if kind == 'h' then addHold(holds, id) else addTransfer(transfers, id) end
  end
  if broken then return { 'broken', broken } end
  return { 'records', newest, holds, transfers }
end

local stock = read('stock', 'HGETALL', KEYS[1])
local product = read('product', 'HEXISTS', key('product'), 'id')
local first = read('expiry', 'ZRANGE', key('expiry'), 0, 0, 'WITHSCORES')
local waiting = read('backorder', 'ZCARD', key('backorder'))
local generated = ''
if newest ~= '' or (not broken and call('EXISTS', key('ledger')) == 1) then
  local about = call('XINFO', 'STREAM', key('ledger'))
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then generated = about[i + 1] end
  end
end

local nextHold, nextTransfer = ARGV[2], ARGV[3]
if nextHold ~= '' and not broken then
  local scan = call('ZSCAN', key('expiry'), nextHold, 'COUNT', PAGE)
  nextHold = scan[1] ~= '0' and scan[1] or ''
  for i = 1, #scan[2], 2 do addHold(holds, scan[2][i]) end
end
if nextTransfer ~= '' and not broken then
  local scan = read('transfers', 'SSCAN', key('transfers'), nextTransfer, 'COUNT', PAGE)
  if scan then
    nextTransfer = scan[1] ~= '0' and scan[1] or ''
    for _, id in ipairs(scan[2]) do addTransfer(transfers, id) end
  end
end
if broken then return { 'broken', broken } end
return {
  'page', newest, generated, product, stock, first[2] or '', waiting, nextHold, nextTransfer, holds, transfers,
}
