-- What hangs on a job, derived from its own fields: room in pools, a named resource, a shared result, other jobs. Joined
-- behind queue.lua.
--
-- Uses `base`, `call`, `now`, `stamp` and what moves jobs from set to set. Gives `ties`, which reads the fields; `free`, which
-- gives back what a run holds; `leave`, which takes a job out of all that it waits in. Every path that ends, edits, merges,
-- drops or deletes a job calls these, and nothing else touches the keys below:
--   used, gathering             units that run; who waits for so much that others may not pass it for ever
--   short:<pool>                who waits for room, by deadline; impossible:<pool>, who asks for more than there is, by units
--   holders, heirs              by name of a resource: who runs under it, and who is to run next and is in the queue
--   parked:<name>, merging      who waits for it; who takes the config of newer jobs
--   leads, alike:<digest>       by digest of a config: who runs for all of them, and who waits for its result
--   waiters:<number>            `<number> <on>` of those who wait for a job's end
--   apart                       by process: the job that runs there alone
-- A waiting set that is not empty has somebody who will see to it: a run that holds what is waited for, or a job in the queue
-- (`heirs`, `leads`, or one that `refill` let go on). When that one goes elsewhere, the next one's turn has come.
local rare = {}
-- How many smaller jobs may start before one that waits for room in a pool.
local MOST_OVERTAKING = 32

-- What is left to the next tick, one word or more each.
local left_over = false
local function later(what)
  left_over = true
  call('RPUSH', base .. 'unsettled', what)
end

-- What most calls have no use for is made when it is needed, and put into `rare`: each function that is made costs every
-- call, the more the more it uses.
local function with_ties()
  if rare.ties then return end
  local MOST_REFILLED, MOST_MOVED = 32, 100

  local TIES = {
    'type', 'state', 'unique', 'uniqueMs', 'conflict', 'needs', 'cache', 'preemptible', 'batch', 'of', 'after', 'unmet',
    'error', 'counted',
  }

  local function ties(number)
    local values = call('HMGET', key(number), unpack(TIES))
    local job = {}
    for i, name in ipairs(TIES) do job[name] = values[i] end
    return job
  end

  -- Makes a job of kind `http` that tells `url` what happened to another one. It counts as the other jobs of the queue do.
  local function alert(type, event, number, detail)
    local url = call('HMGET', base .. 'alerts', type, '*')
    url = url[1] or url[2]
    if not url or type == 'http' then return end
    if admitted(1, tonumber(clock[4] or 1000000)) == 0 then
      call('HINCRBY', base .. 'totals', 'alertsLeftOut', 1)
      return
    end
    local own = format('%012d', call('INCR', base .. 'sequence'))
    local body = { event = event, job = match(base, '{(.*)}') .. '-' .. number, type = type, detail = detail, at = stamp }
    call('HSET', key(own), 'name', 'alert: ' .. event, 'type', 'http', 'created', stamp, 'config',
      cjson.encode({ url = url, body = body }))
    call('HSETNX', base .. 'types', 'http', '')
    ready(own, 'http', now + TARGET_MS.normal)
  end

  -- Puts a job that is in no set where it waits for something else to happen.
  local function wait(number, state, reason)
    call('HSET', key(number), 'state', 'waiting' .. carried(state) .. (reason and ' reason=' .. reason or ''))
    call('ZADD', base .. 'waiting', stamp, number)
  end

  -- The units of each pool in a list of needs (`cpu=4 gpu=1`).
  local function units(needs) return string.gmatch(needs, '([^ =]+)=(%d+)') end

  -- Lets those go on who wait for room in a pool, as far as there is room: who is to start first, and smaller ones behind.
  local function refill(pool)
    local short = base .. 'short:' .. pool
    local heads = call('ZRANGE', short, 0, MOST_REFILLED - 1, 'WITHSCORES')
    if #heads == 0 then return end
    local gathering = call('HMGET', base .. 'gathering', 'job', 'overtaken')
    if gathering[1] and tonumber(gathering[2]) >= MOST_OVERTAKING then
      local score = call('ZSCORE', short, gathering[1])
      if score then heads = { gathering[1], score } end
    end
    local capacity = tonumber(call('HGET', base .. 'pools', pool) or 0)
    local left = capacity - tonumber(call('HGET', base .. 'used', pool) or 0)
    local moved, let_go = 0, 0
    for i = 1, #heads, 2 do
      local number = heads[i]
      local job = call('HMGET', key(number), 'type', 'needs', 'state')
      local asked = 0
      for name, amount in units(job[2] or '') do
        if name == pool then asked = tonumber(amount) end
      end
      if asked > capacity then
        -- Whoever changes the pool looks at it again.
        moved = moved + 1
        call('ZREM', short, number)
        call('ZADD', base .. 'impossible:' .. pool, asked, number)
        local reason = format('it asks for %d of %s, which has %d', asked, pool, capacity)
        call('HSET', key(number), 'state', 'waiting' .. carried(job[3]) .. ' reason=' .. reason)
        if call('HGET', base .. 'gathering', 'job') == number then call('DEL', base .. 'gathering') end
        note('blocked', number)
        alert(job[1], 'blocked', number, reason)
      elseif asked <= left then
        left = left - asked
        let_go = let_go + 1
        call('ZREM', short, number)
        if call('ZREM', base .. 'waiting', number) == 1 then
          local kept = carried(job[3])
          if kept == '' then
            call('HDEL', key(number), 'state')
          else
            call('HSET', key(number), 'state', 'pending' .. kept)
          end
          ready(number, job[1], tonumber(heads[i + 1]))
        end
      end
    end
    if (moved > 0 or let_go == MOST_REFILLED) and call('EXISTS', short) == 1 then later('pool ' .. pool) end
  end

  -- A pool has another size: those who asked for more than there was may fit now.
  local function resize(pool)
    local set = base .. 'impossible:' .. pool
    local capacity = call('HGET', base .. 'pools', pool) or '0'
    local possible = call('ZRANGEBYSCORE', set, '-inf', capacity, 'LIMIT', 0, MOST_MOVED)
    for _, number in ipairs(possible) do
      local job = call('HMGET', key(number), 'type', 'priority', 'state')
      call('ZREM', set, number)
      if job[1] then
        call('HSET', key(number), 'state', 'waiting' .. carried(job[3]))
        call('ZADD', base .. 'short:' .. pool, format('%d', now + target(job[1], job[2])), number)
      end
    end
    refill(pool)
    if #possible == MOST_MOVED then later('pool ' .. pool) end
  end

  -- Somebody under a name is done or goes elsewhere: the next one in line goes on. Those who come back after a delay do not
  -- keep it from the others meanwhile.
  local function pass_on(name)
    call('HDEL', base .. 'heirs', name)
    if call('HEXISTS', base .. 'holders', name) == 1 then return end
    for _ = 1, MOST_MOVED do
      local next = call('ZPOPMIN', base .. 'parked:' .. name)[1]
      if not next then return end
      if call('ZREM', base .. 'waiting', next) == 1 then
        local job = call('HMGET', key(next), 'conflict', 'state')
        local delay = match(job[1] or '', '^reschedule (%d+)')
        if not delay then
          call('HSET', base .. 'heirs', name, next)
          return begin(next)
        end
        call('HSET', key(next), 'state', 'pending' .. carried(job[2]))
        call('ZADD', base .. 'delayed', format('%d', now + delay), next)
      end
    end
    later('parked ' .. name)
  end

  -- Nobody runs for a config any more, and there is no result: the oldest of those who wait for it does.
  local function follow(digest)
    if call('HEXISTS', base .. 'leads', digest) == 1 then return end
    while true do
      local next = call('ZPOPMIN', base .. 'alike:' .. digest)[1]
      if not next then return end
      if call('ZREM', base .. 'waiting', next) == 1 then
        call('HSET', base .. 'leads', digest, next)
        return begin(next)
      end
    end
  end

  -- The strategy of a job that has one for others under the same name, and the name.
  local function conflict_of(job) return match(job.conflict, '^(%S+) %d+ (.+)$') end

  -- Gives back what a run holds.
  local function free(number, job)
    if job.preemptible then call('ZREM', base .. 'preemptible', number) end
    local group = match(job.state or '', ' apart=(%S+)')
    if group then call('HDEL', base .. 'apart', group) end
    if job.needs then
      for pool, amount in units(job.needs) do
        if call('HINCRBY', base .. 'used', pool, '-' .. amount) <= 0 then call('HDEL', base .. 'used', pool) end
      end
      for pool in units(job.needs) do refill(pool) end
    end
    if job.conflict then
      local _, name = conflict_of(job)
      if call('HGET', base .. 'holders', name) == number then
        call('HDEL', base .. 'holders', name)
        pass_on(name)
      end
    end
  end

  -- Takes a job that does not run out of all that it waits in, or is the next one in; for an edit, or for its end.
  local function leave(number, job)
    if job.needs then
      if call('HGET', base .. 'gathering', 'job') == number then call('DEL', base .. 'gathering') end
      for pool in units(job.needs) do
        call('ZREM', base .. 'short:' .. pool, number)
        call('ZREM', base .. 'impossible:' .. pool, number)
        refill(pool)
      end
    end
    if job.conflict then
      local strategy, name = conflict_of(job)
      call('ZREM', base .. 'parked:' .. name, number)
      local merging = strategy == 'merge' and job.type .. ' ' .. name
      if merging and call('HGET', base .. 'merging', merging) == number then call('HDEL', base .. 'merging', merging) end
      if call('HGET', base .. 'heirs', name) == number then pass_on(name) end
    end
    if job.cache then
      local digest = match(job.cache, '^%S+')
      call('ZREM', base .. 'alike:' .. digest, number)
      if call('HGET', base .. 'leads', digest) == number then
        call('HDEL', base .. 'leads', digest)
        follow(digest)
      end
    end
    if job.after and tonumber(job.unmet or 0) > 0 then
      for other, on in string.gmatch(job.after, '(%d+):(%a+)') do
        call('ZREM', base .. 'waiters:' .. other, number .. ' ' .. on)
      end
    end
  end

  rare.ties = ties
  rare.alert = alert
  rare.wait = wait
  rare.units = units
  rare.refill = refill
  rare.resize = resize
  rare.pass_on = pass_on
  rare.follow = follow
  rare.conflict_of = conflict_of
  rare.free = free
  rare.leave = leave
end
