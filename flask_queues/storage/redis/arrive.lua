-- Store jobs and schedules of one queue as they left another storage, unless their load has arrived before.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; its queue's name; whether names of queues are within reach; what remembers the source; number of
-- the load; number of jobs; of each id, type, priority, status, since when, created, due, expires, whether it is to be
-- claimed alone, whether another queue may hold it, the record behind its first line, what it keeps, how it is unique, its
-- limits, how often its options were changed, number of tags, tags, number of lines, lines; number of schedules; of each
-- its name, text, number of occurrences, occurrences.
-- Returns how many jobs were new.

local p, queue, near, mark, number = arg(), arg(), arg() == '1', arg(), tonumber(arg())

local function read_list()
    local list = {}
    for n = 1, tonumber(arg()) do
        list[n] = arg()
    end
    return list
end

local function read_parcel()
    return {
        id = arg(), type = arg(), priority = arg(), status = arg(), since = tonumber(arg()), created = arg(),
        due = arg(), expires = arg(), alone = arg(), stray = arg(), text = arg(), kept = arg(), unique = arg(), limits = arg(), changes = arg(), tags = read_list(),
        lines = read_list(),
    }
end

-- Let a unique job hold its key, if it still does and nobody else has it. What is said of it begins with `1` then.
local function take_key(job)
    local said = string.sub(job.unique, 2)
    local til, lasts, _, key = uniques().read(said)
    local over = til == 'time' and tonumber(job.created) + tonumber(lasts) <= now
    note_trait(p, 'u')
    call('HSET', p .. 'keys', job.id, said)
    if string.sub(job.unique, 1, 1) == '1' and not over and not uniques().holder(p, key) then
        uniques().hold(p, job.id, said, tonumber(job.created))
    end
end

local function put(job, seq)
    local id = job.id
    local key = p .. 'j:' .. id
    if call('EXISTS', key) == 1 or (job.stray == '1' and elsewhere(p, id)) then
        return 0
    end
    local stem = string.format('%011x', seq) .. job.priority .. job.type
    local member = stem .. '\t' .. id
    call('SET', key, place_of(stem, job.created, job.due, job.expires) .. '\n' .. job.text)
    if job.status == PENDING then
        call('ZADD', p .. 'ready', rank_of(stem, tonumber(job.due)), member)
        if job.since ~= tonumber(job.due) then
            call('ZADD', p .. 'since', job.since, member)
        end
    else
        call('ZADD', p .. LISTS[job.status], job.since, member)
    end
    if job.alone == '1' then
        note_trait(p, 'a')
        call('SADD', p .. 'alone', id)
    end
    for _, tag in ipairs(job.tags) do
        call('ZADD', p .. 't:' .. tag, job.created, member)
    end
    add_logs(p, id, job.lines)
    if job.limits ~= '' then
        note_trait(p, 'l')
        call('HSET', p .. 'limits', id, job.limits)
    end
    if job.unique ~= '' then
        take_key(job)
    end
    if job.changes ~= '0' then
        note_changes(p, id, job.changes)
    end
    if job.kept ~= '' then
        call('SET', p .. 'k:' .. id, job.kept)
    end
    count(p, stem, id, nil, job.status)
    return 1
end

local last = tonumber(call('HGET', p .. 'meta', mark) or 0)
call('HSET', p .. 'meta', mark, digits(math.max(last, number))) -- once more, too: whoever waits for replicas waits for it
if last >= number then
    return 0
end
if near then
    call('SADD', root .. 'queues', queue)
end
local new, size = 0, tonumber(arg())
local first = numbers(p, size)
for n = 1, size do
    new = new + put(read_parcel(), first + n - 1)
end
for _ = 1, tonumber(arg()) do
    local name, about, past = arg(), arg(), read_list()
    if call('HEXISTS', p .. 'schedules', name) == 0 then
        call('HSET', p .. 'schedules', name, next_revision(p) .. '\t0\t' .. about)
        for _, occurrence in ipairs(past) do
            call('RPUSH', p .. 'h:' .. name, occurrence)
        end
    end
end
wake()
return finish(new)
