#!lua flags=no-writes
-- Reads a part of one of the queue's sets of jobs, without large configs and results.
-- KEYS    1 beginning of the queue's keys  2 guard
-- ARGV    set (`ready:noop`, `ended`, …), `up` or `down` (the latest first), score and job behind which to begin (empty for
--         the beginning), how many jobs to give at most, how many to look at, after how many bytes to end, a type, a name
--         and states (words, each in blanks) to choose by (empty for any), then the names of the fields that are wanted
-- RETURNS how many jobs were looked at, score and job of the last one (empty when there was none), then per chosen job a
--         list: its number, its score, the length of its config where that has a key of its own (else 0), the fields' values
--         (empty for none)
-- EFFECTS none
-- COST    O(log m + n) for n jobs that are looked at, at most 500, of m
local base = KEYS[1]
local call = redis.call
local set, down = base .. ARGV[1], ARGV[2] == 'down'
local score, number = ARGV[3], ARGV[4]
local most, most_looked, most_bytes = tonumber(ARGV[5]), math.min(tonumber(ARGV[6]), 500), tonumber(ARGV[7])
local type, name, states = ARGV[8], ARGV[9], ARGV[10]
local names = {}
for i = 11, #ARGV do names[i - 10] = ARGV[i] end

-- How many of the set come before the first one behind the place. The job itself may be elsewhere by now; of equal scores
-- the lower number is first.
local function begin()
  if score == '' then return 0 end
  local from = call('ZCOUNT', set, '-inf', '(' .. score)
  local to = from + call('ZCOUNT', set, score, score)
  while from < to do
    local middle = math.floor((from + to) / 2)
    local other = call('ZRANGE', set, middle, middle)[1]
    if other < number or (other == number and not down) then from = middle + 1 else to = middle end
  end
  return down and call('ZCARD', set) - from or from
end

local function is_wanted(job)
  if job[4] or not job[1] then return false end
  if type ~= '' and job[1] ~= type then return false end
  if name ~= '' and job[2] ~= name then return false end
  return states == '' or string.find(states, ' ' .. string.match(job[3] or 'pending', '^%a+') .. ' ', 1, true)
end

local at = begin()
local page = call(down and 'ZREVRANGE' or 'ZRANGE', set, at, at + most_looked - 1, 'WITHSCORES')
local answer = { 0, '', '' }
local bytes = 0
for i = 1, #page, 2 do
  local job = base .. 'job:' .. page[i]
  answer[1], answer[2], answer[3] = (i + 1) / 2, page[i + 1], page[i]
  if is_wanted(call('HMGET', job, 'type', 'name', 'state', 'mergedInto')) then
    local values = call('HMGET', job, unpack(names))
    local line = { page[i], page[i + 1], call('STRLEN', base .. 'config:' .. page[i]) }
    for j = 1, #names do
      line[j + 3] = values[j] or ''
      bytes = bytes + #line[j + 3]
    end
    answer[#answer + 1] = line
    if #answer - 3 >= most or bytes >= most_bytes then break end
  end
end
return answer
