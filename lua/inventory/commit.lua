#!lua
-- Does operations on the stock of one SKU, one after the other, each judged against what those before it left, in one step.
-- It does by itself what a group commit under WATCH does, and everything that is too rare for one.
--
-- KEYS    [1] `qm:stock:{SKU}`, hash: `<warehouse>:quantity`, `:reserved`, `:inTransit`, `:below`, `:above`; `product`,
--         `version`, `nextExpiry`, `waiting`, `queued`, `corrections`. Those of the same SKU, by the word in its
--         place: `product` (hash, read),
--         `reservation…:<id>` (hash), `expiry`, `backorder` and
--         `backorder…:<warehouse>` (sorted sets of ids), `ledger` (stream), `checkpoints` (list
--         of its ids), `alert…:<warehouse>` (hash), `transfer…:<id>` (hash), `transfers` (set of open ones),
--         `adjustment…:<id>` (string), `outbox` (list of events). [2] `qm:whole:{SKU}`, the guard: it never exists, so that
--         a cluster answers TRYAGAIN instead of running this on a half of the SKU while its slot is moved
-- ARGV    [1] now in ms or empty; [2] `fence` to change the version even if nothing else is; then one JSON object for each
--         operation: `op` and what stands beside its function (holds.lua, movements.lua)
-- RETURNS `more`: too many holds have lapsed for one call, nothing was judged: call again. Else
--         {{now, next expiry, outbox entries, product id, version}, {word, …} for each operation}; {`unknown`}: no such SKU
-- EFFECTS the hash; a ledger entry for each change; holds, transfers; alerts and what is to be told of them
-- COST    O(log n) for each operation, n the SKU's holds; at most 500 lapsed holds and 100 waiting ones are gone through
local OPERATIONS = {
  reserve = reserve, confirm = confirm, cancel = cancel, extend = extend, resize = resize, show = show, pin = pin, void = void,
  adjust = adjust, transfer = transfer, move = moveOn, correct = correct, list = list,
  look = look,
}

local s = read(KEYS[1])
if not s.exists then
  local replies = { head(s) }
  for i = 3, #ARGV do replies[i - 1] = { 'unknown' } end
  return replies
end
if not releaseLapsed(s) then
  finish(s, true)
  return 'more'
end
local replies = { {} }
for i = 3, #ARGV do
  -- Who waits is served before who comes.
  if s.freed then serveWaiting(s) end
  local op = cjson.decode(ARGV[i])
  replies[i - 1] = OPERATIONS[op.op](s, op)
end
finish(s, ARGV[2] == 'fence')
replies[1] = head(s)
return replies
