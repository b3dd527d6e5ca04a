import Redis

@testable import JobScheduling

/// What holds for a queue after every step, whatever was done before: each job is in the one set that its state says, each
/// that has not ended waits for something that is alive, and each key, count and mark belongs to somebody. It looks at every
/// key of the queue.
enum QueueLaws {
    static let script = Script(name: "queue_laws", source: Array(text.utf8))

    // KEYS[1] is the beginning of the queue's keys; a line for each fault is returned.
    private static let text = #"""
        local base, call, match = KEYS[1], redis.call, string.match
        local faults = {}
        local function fault(...) faults[#faults + 1] = table.concat({ ... }, ' ') end
        local ENDED = { completed = 1, cancelled = 1, skipped = 1, failed = 1, timeout = 1, dead = 1 }
        local SETS = {
          pending = 'ready delayed', retrying = 'ready delayed', running = 'leases', scheduled = 'schedules',
          waiting = 'waiting', idle = 'idle', completed = 'ended', cancelled = 'ended', skipped = 'ended',
          failed = 'dead', timeout = 'dead', dead = 'dead',
        }
        local function pairs_of(list)
          local map = {}
          for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
          return map
        end
        local function set_of(list)
          local set = {}
          for _, member in ipairs(list) do set[member] = true end
          return set
        end

        -- Everything there is, by kind of key.
        local jobs, places, lists = {}, {}, {}
        local kinds = {}
        for _, name in ipairs(call('KEYS', base .. '*')) do
          local key = string.sub(name, #base + 1)
          local kind, rest = match(key, '^([%a]+):?(.*)$')
          kinds[kind] = kinds[kind] or {}
          if kind == 'batch' and match(rest, ':held$') then
            lists[key] = set_of(call('ZRANGE', name, 0, -1))
          elseif kind == 'job' then
            jobs[rest] = pairs_of(call('HGETALL', name))
          elseif kind == 'unique' then
            kinds.unique[rest] = { call('GET', name), call('PTTL', name) }
          else
            local type = call('TYPE', name).ok
            if type == 'zset' then
              kinds[kind][rest] = set_of(call('ZRANGE', name, 0, -1))
            elseif type == 'set' then
              kinds[kind][rest] = set_of(call('SMEMBERS', name))
            elseif type == 'hash' then
              kinds[kind][rest] = pairs_of(call('HGETALL', name))
            elseif type == 'list' then
              kinds[kind][rest] = call('LRANGE', name, 0, -1)
            else
              kinds[kind][rest] = true
            end
          end
        end
        local KNOWN = set_of({ 'job', 'config', 'ready', 'delayed', 'leases', 'schedules', 'waiting', 'idle', 'ended', 'dead',
          'history', 'held', 'worker', 'workers', 'wake', 'events', 'violations', 'types', 'settings', 'pools', 'used', 'alerts',
          'rates', 'totals', 'sla', 'unique', 'holders', 'heirs', 'merging', 'parked', 'leads', 'cache', 'alike', 'cached',
          'waiters', 'unsettled', 'extras', 'batch', 'unsealed', 'active', 'queued', 'clock', 'tokens', 'sequence', 'short',
          'impossible', 'gathering', 'apart', 'preemptible', 'blocked' })
        for kind in pairs(kinds) do
          if not KNOWN[kind] then fault('key', kind, 'is unknown') end
        end
        local function of(kind) return kinds[kind] or {} end
        local function the(kind) return of(kind)[''] or {} end

        local left = {}
        for _, what in ipairs(the('unsettled')) do left[what] = true end
        local function is_left(word, subject)
          for what in pairs(left) do
            if string.sub(what, 1, #word + #subject + 1) == word .. ' ' .. subject then return true end
          end
        end
        local function word_of(number)
          local job = jobs[number]
          if not job or not job.type then return nil end
          return match(job.state or 'pending', '^%a+')
        end
        local function is_alive(number)
          local word = word_of(number)
          return word and not ENDED[word] and not jobs[number].mergedInto
        end
        local function name_of(job) return match(job.conflict or '', '^%S+ %d+ (.+)$') end
        local function digest_of(job) return match(job.cache or '', '^%S+') end
        local function needs_of(job, pool)
          for name, amount in string.gmatch(job.needs or '', '([^ =]+)=(%d+)') do
            if name == pool then return tonumber(amount) end
          end
        end

        -- Each job is in one set, by its state and type.
        for _, kind in ipairs({ 'ready', 'leases', 'delayed', 'waiting', 'schedules', 'idle', 'ended', 'dead' }) do
          for rest, members in pairs(of(kind)) do
            for number in pairs(members) do
              places[number] = (places[number] and places[number] .. ' ' or '') .. kind
              local job = jobs[number]
              if not job or not job.type then
                fault(kind, 'has', number, 'which is no job')
              elseif rest ~= '' and rest ~= job.type then
                fault(kind, rest, 'has', number, 'of type', job.type)
              end
            end
          end
        end
        for number, job in pairs(jobs) do
          local word = word_of(number)
          if not word then
            fault('job', number, 'has no type')
          elseif not places[number] then
            fault('job', number, 'is', word, 'and nowhere')
          elseif string.find(places[number], ' ', 1, true) then
            fault('job', number, 'is in', places[number])
          elseif not job.mergedInto and not string.find(' ' .. SETS[word] .. ' ', ' ' .. places[number] .. ' ', 1, true) then
            fault('job', number, 'is', word, 'and in', places[number])
          end
        end

        -- Each that waits has a reason, and the reason is alive.
        local reasons = {}
        local function reason(number, what, is_good)
          reasons[number] = true
          if places[number] ~= 'waiting' then fault(number, 'is in', what, 'and does not wait but is', places[number] or 'gone') end
          if not is_good then fault(number, 'waits for', what, 'which is not alive') end
        end
        for name, numbers in pairs(of('parked')) do
          local holder, heir = the('holders')[name], the('heirs')[name]
          local is_good = (holder and word_of(holder) == 'running') or (heir and places[heir] == 'ready') or is_left('parked', name)
          for number in pairs(numbers) do
            reason(number, 'name ' .. name, is_good and name_of(jobs[number] or {}) == name)
          end
        end
        local pools, used = the('pools'), the('used')
        for pool, numbers in pairs(of('short')) do
          local is_good = tonumber(used[pool] or 0) > 0 or is_left('pool', pool)
          for number, job in pairs(jobs) do
            if places[number] == 'ready' and needs_of(job, pool) then is_good = true end
          end
          for number in pairs(numbers) do
            reason(number, 'pool ' .. pool, is_good and needs_of(jobs[number] or {}, pool))
          end
        end
        for pool, numbers in pairs(of('impossible')) do
          for number in pairs(numbers) do
            local asked = needs_of(jobs[number] or {}, pool)
            reason(number, 'room in ' .. pool, asked and (asked > tonumber(pools[pool] or 0) or is_left('pool', pool)))
            if jobs[number] and not string.find(jobs[number].state or '', 'reason=', 1, true) then fault(number, 'is not told why') end
          end
        end
        for digest, numbers in pairs(of('alike')) do
          local leader = the('leads')[digest]
          local is_good = (leader and is_alive(leader) and places[leader] ~= 'waiting') or is_left('followers', digest)
          if leader and is_alive(leader) and places[leader] == 'waiting' and not numbers[leader] then is_good = true end
          for number in pairs(numbers) do
            reason(number, 'result of ' .. tostring(leader), is_good and digest_of(jobs[number] or {}) == digest)
          end
        end
        local unmet = {}
        for other, entries in pairs(of('waiters')) do
          local is_good = is_alive(other) or is_left('dependants', other) or is_left(other, '')
          for entry in pairs(entries) do
            local number = match(entry, '^%d+')
            unmet[number] = (unmet[number] or 0) + 1
            reason(number, 'job ' .. other, is_good)
          end
        end
        for schedule, numbers in pairs(of('queued')) do
          local is_good = false
          for active in pairs(of('active')[schedule] or {}) do
            if is_alive(active) then is_good = true end
          end
          for number in pairs(numbers) do reason(number, 'run of ' .. schedule, is_good) end
        end
        local batches = {}
        for id, batch in pairs(of('batch')) do
          batches[id] = batch
          batch.alive = 0
        end
        for number, job in pairs(jobs) do
          if job.batch and batches[job.batch] and not job.counted then
            batches[job.batch].alive = batches[job.batch].alive + 1
          end
          if places[number] == 'waiting' then
            if tonumber(job.unmet or 0) ~= (unmet[number] or 0) and not is_left('dependants', '') then
              fault(number, 'has unmet', tostring(job.unmet), 'and waits for', tostring(unmet[number]))
            end
            local held = job.batch and lists['batch:' .. job.batch .. ':held']
            if held and held[number] then
              reason(number, 'batch ' .. job.batch, batches[job.batch] and the('unsealed')[job.batch])
            end
            local awaited = job.awaits and batches[job.awaits]
            if job.awaits then
              reason(number, 'batch ' .. job.awaits, awaited and not awaited.called
                and (not awaited.sealed or tonumber(awaited.open) > 0) and awaited.callback == number)
            end
            if not reasons[number] then fault(number, 'waits for nothing') end
          end
        end

        -- Each mark belongs to somebody.
        local running = {}
        for number, job in pairs(jobs) do
          if word_of(number) == 'running' then
            local worker = match(job.state, 'worker=(%S+)')
            if not (of('held')[worker] or {})[number] then fault(number, 'is not held by', worker) end
            local name = name_of(job)
            if name and the('holders')[name] ~= number then fault(number, 'runs under', name, 'without having it') end
            for pool, amount in string.gmatch(job.needs or '', '([^ =]+)=(%d+)') do
              running[pool] = (running[pool] or 0) + amount
            end
          end
          if is_alive(number) and job.unique and not job.uniqueMs and (of('unique')[job.unique] or {})[1] ~= number then
            fault(number, 'has not its unique key', job.unique)
          end
        end
        for pool, amount in pairs(used) do
          if tonumber(amount) ~= (running[pool] or 0) then fault('pool', pool, 'has', amount, 'used, and', running[pool] or 0, 'run') end
        end
        for pool in pairs(running) do
          if not used[pool] then fault('pool', pool, 'counts nothing') end
        end
        for worker, numbers in pairs(of('held')) do
          for number in pairs(numbers) do
            if word_of(number) ~= 'running' or match(jobs[number].state, 'worker=(%S+)') ~= worker then
              fault(worker, 'holds', number, 'which is', tostring(word_of(number)))
            end
          end
        end
        for name, number in pairs(the('holders')) do
          if word_of(number) ~= 'running' or name_of(jobs[number]) ~= name then fault('name', name, 'is held by', number) end
        end
        for name, number in pairs(the('heirs')) do
          if places[number] ~= 'ready' or name_of(jobs[number]) ~= name then fault('name', name, 'is to go to', number) end
        end
        for mark, number in pairs(the('merging')) do
          if not is_alive(number) or word_of(number) == 'running' then fault('mark', mark, 'is', number) end
        end
        for digest, number in pairs(the('leads')) do
          if not is_alive(number) or digest_of(jobs[number]) ~= digest then fault('digest', digest, 'is led by', number) end
        end
        for process, number in pairs(the('apart')) do
          if process ~= '?' and (word_of(number) ~= 'running' or match(jobs[number].state, ' apart=(%S+)') ~= process) then
            fault('process', process, 'runs', number, 'apart')
          end
        end
        for number in pairs(the('preemptible')) do
          if word_of(number) ~= 'running' then fault('preemptible', number, 'does not run') end
        end
        local gathering = the('gathering').job
        if gathering and not (is_alive(gathering) and jobs[gathering].needs and word_of(gathering) ~= 'running') then
          fault('gathering is', gathering)
        end
        for unique, holder in pairs(of('unique')) do
          local job = jobs[holder[1]]
          if holder[2] == -1 and not (job and is_alive(holder[1]) and job.unique == unique) then
            fault('unique key', unique, 'is', holder[1])
          end
        end
        for schedule, numbers in pairs(of('active')) do
          for number in pairs(numbers) do
            if not is_alive(number) or jobs[number].of ~= schedule then fault('active run', number, 'of', schedule) end
          end
        end
        for _, kind in ipairs({ 'config', 'history' }) do
          for number in pairs(of(kind)) do
            if not jobs[number] then fault(kind, number, 'is nobody\'s') end
          end
        end
        for number in pairs(the('extras')) do
          if not jobs[number] then fault('extras', number, 'is nobody\'s') end
        end
        for id in pairs(the('unsealed')) do
          if not batches[id] then fault('unsealed', id, 'is no batch') end
        end
        for id, batch in pairs(batches) do
          local counted = 0
          for outcome in pairs(ENDED) do
            local count = tonumber(batch[outcome] or 0)
            if count < 0 then fault('batch', id, 'has', count, outcome) end
            counted = counted + count
          end
          if batch.total then
            local open = tonumber(batch.open)
            if open ~= batch.alive and next(left) == nil then fault('batch', id, 'has', open, 'open, and', batch.alive, 'are') end
            if batch.sealed and batch.enqueued ~= '0' and open + counted ~= tonumber(batch.total) then fault('batch', id, 'does not add up') end
            if batch.sealed and (open == 0) ~= (batch.ended ~= nil) then fault('batch', id, 'has an end too many or none') end
          end
        end
        return faults
        """#
}
