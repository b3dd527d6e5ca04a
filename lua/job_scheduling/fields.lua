-- The states of a job and the fields of its hash, one table each; Swift's are checked against them. Joined with the scripts
-- that need them.

-- The sets in which a job of a state may be, as their names begin.
local SETS = {
  pending = 'ready delayed', retrying = 'ready delayed', running = 'leases', scheduled = 'schedules', waiting = 'waiting',
  idle = 'idle', completed = 'ended', cancelled = 'ended', skipped = 'ended', failed = 'dead', timeout = 'dead',
  dead = 'dead',
}

-- Whose a field is: `given` by whoever made the job, and a schedule's runs have it as well; `own` of the job that it was given
-- to; `kept` by the scripts.
local FIELDS = {
  name = 'given', type = 'given', config = 'given', priority = 'given', retries = 'given', backoff = 'given',
  timeout = 'given', retryTimeouts = 'given', conflict = 'given', needs = 'given', cache = 'given', preemptible = 'given',
  trace = 'given',
  unique = 'own', uniqueMs = 'own', after = 'own', batch = 'own', awaits = 'own', schedule = 'own', timeZone = 'own',
  missed = 'own', missedLimit = 'own', overlap = 'own', queueLimit = 'own', largeConfig = 'own',
  state = 'kept', special = 'kept', created = 'kept', version = 'kept', unmet = 'kept', later = 'kept', counted = 'kept',
  error = 'kept', result = 'kept', fromCache = 'kept', progress = 'kept', mergedInto = 'kept', of = 'kept', slot = 'kept',
  runs = 'kept', succeeded = 'kept', failed = 'kept', cancelled = 'kept', skipped = 'kept', last = 'kept',
  skippedSlots = 'kept',
}
