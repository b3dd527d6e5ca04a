#!lua
-- Changes the list of warehouses.
--
-- KEYS    [1] `qm:warehouses`, hash of JSON by id, and `revision`
-- ARGV    [1] `defaults`, `create`, `update` or `delete`; [2] the channel that is told; then for `defaults` id and JSON of
--         each, which are written if there is no list at all; else [3] id, [4] JSON, [5] the version it must have, or empty
-- RETURNS `done`; `exists`; `missing`; {`version`, the one it has}
-- EFFECTS the list, its revision; the revision is published
-- COST    O(n), n the warehouses that are given
local call = redis.call
local list, word, id, json = KEYS[1], ARGV[1], ARGV[3], ARGV[4]
if word == 'defaults' then
  if call('EXISTS', list) == 1 then return 'exists' end
  for i = 3, #ARGV, 2 do call('HSET', list, ARGV[i], ARGV[i + 1]) end
else
  local known = call('HGET', list, id)
  if word == 'create' then
    if known then return 'exists' end
    call('HSET', list, id, json)
  else
    if not known then return 'missing' end
    local version = string.format('%d', cjson.decode(known).version)
    if ARGV[5] ~= '' and ARGV[5] ~= version then return { 'version', version } end
    if word == 'update' then call('HSET', list, id, json) else call('HDEL', list, id) end
  end
end
call('PUBLISH', ARGV[2], string.format('%d', call('HINCRBY', list, 'revision', 1)))
return 'done'
