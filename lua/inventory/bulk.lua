#!lua
-- Does adjustments of the stock of many SKUs in one step, all of them or none.
--
-- KEYS    [n] `qm:stock:{SKU}` of each SKU, all of them in one slot; beside it the same keys as in commit. The last one is the
--         guard, `qm:whole:{SKU}` of the first: it never exists, so that a cluster answers TRYAGAIN while the slot is moved
-- ARGV    [1] now in ms or empty; [2] `do`, or `try` to judge only; then for each adjustment the place of its SKU in KEYS, and
--         its JSON (movements.lua)
-- RETURNS `more`: too many holds have lapsed for one call, nothing was judged: call again. Else {`done` or `refused`, now,
--         {entries in the outbox of each SKU}, {product id of each SKU}, {word, …} of each adjustment}; of one that would be
--         done in a call that is refused the word is `fine`
-- EFFECTS those of commit; when refused, only what had lapsed is released
-- COST    O(n + m), n the adjustments and m the fields of the SKUs' hashes; at most 500 lapsed holds of each SKU
local skus, isRead = {}, true
for i = 1, #KEYS - 1 do
  skus[i] = read(KEYS[i])
  if skus[i].exists and not releaseLapsed(skus[i]) then isRead = false end
end
if not isRead then
  for _, s in ipairs(skus) do finish(s, true) end
  return 'more'
end

-- What the quantities would be, so that nothing is written before all is judged.
local trial, operations, answers, word = {}, {}, {}, ARGV[2] == 'do' and 'done' or 'refused'
for i = 3, #ARGV, 2 do
  local s, op, answer = skus[tonumber(ARGV[i])], cjson.decode(ARGV[i + 1]), { 'fine' }
  if not s.exists then
    answer = { 'unknown' }
  else
    local before = earlier(s, op)
    if not before then
      local c, place = counters(s, op.w), ARGV[i] .. ' ' .. op.w
      local quantity, refusal = adjusted(op, trial[place] or c.quantity, c.reserved)
      if quantity then trial[place] = quantity else answer = refusal end
    elseif before[1] ~= 'existing' then
      answer = before
    end
  end
  if answer[1] ~= 'fine' then word = 'refused' end
  operations[#operations + 1] = { s, op }
  answers[#answers + 1] = answer
end
if word == 'done' then
  for i, operation in ipairs(operations) do answers[i] = adjust(operation[1], operation[2]) end
end
local outboxes, products = {}, {}
for i, s in ipairs(skus) do
  finish(s, false)
  outboxes[i] = format('%d', s.outbox)
  products[i] = s.product or ''
end
return { word, stamp, outboxes, products, answers }
