#!lua
-- Changes the list of warehouses.
--
-- A warehouse is deleted in two steps: it is closed, which hides it from everybody, and dropped when whoever still thought it
-- open has come to an end. Should somebody have put stock there meanwhile, it is opened again.
--
-- KEYS    [1] `qm:warehouses`, hash of JSON by id, `closing:<id>` for those that are closed, and `revision`
-- ARGV    [1] `defaults`, `create`, `update`, `close`, `open` or `drop`; [2] the channel that
--         is told; then for `defaults` id and JSON of each, which are written if there is no list at all; else [3] id, [4]
--         JSON, [5] the version it must have, or empty
-- RETURNS `done`; `exists`; `missing`; {`version`, the one it has}
-- EFFECTS the list, its revision, which is never the same again, even where a part of the list's life was lost; it is
--         published
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
    call('HDEL', list, 'closing:' .. id)
  elseif word == 'open' or word == 'drop' then
    local closed = call('HGET', list, 'closing:' .. id)
    if not closed then return 'missing' end
    if word == 'open' then call('HSET', list, id, closed) end
    call('HDEL', list, 'closing:' .. id)
  else
    if not known then return 'missing' end
    local version = string.format('%d', cjson.decode(known).version)
    if ARGV[5] ~= '' and ARGV[5] ~= version then return { 'version', version } end
    if word == 'update' then
      call('HSET', list, id, json)
    else
      call('HSET', list, 'closing:' .. id, known)
      call('HDEL', list, id)
    end
  end
end
local time = call('TIME')
local revision = math.max(tonumber(call('HGET', list, 'revision') or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
revision = string.format('%d', revision)
call('HSET', list, 'revision', revision)
call('PUBLISH', ARGV[2], revision)
return 'done'
