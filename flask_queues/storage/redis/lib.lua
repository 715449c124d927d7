-- In front of every script: the words in which they are written.
--
-- ARGV[1] is the root, the prefix of the keys that belong to no queue; a partition `p` is the prefix of a queue's:
--   root..figures hash    name: a sheet, on which the keeper adds up what was done
--   p..meta       hash    seq: pushes so far; token: the last one given; revision: the last change of a schedule;
--                         traits: what it has ever held, a letter each; from:<storage>: the last load from there
--   p..ready      zset    rank: what may be claimed
--   p..held       zset    rank: set aside, since no worker knows its type
--   p..since      zset    ms: when a ready or held job became pending, where it was not then that it was due
--   p..due        zset    ms: what waits for its time
--   p..run        hash    id: claim
--   p..completed, failed, cancelled   zset   ms of the end
--   p..counts     hash    type, tab, status: n
--   p..alone      set     ids that are not to be claimed with others
--   p..out        hash    id: a push into another partition that is not made yet (cluster)
--   p..arrived    zset    ms: ids that came out of another partition's `out` (cluster)
--   p..leaving    string  number, tab, destination, tab, text: the load that has left and may not have arrived
--   p..schedules  hash    name: revision, the one before, text;  p..h:<name> list: its history
--   p..keys       hash    id: how a unique job holds its key (end, start or time), for how long, whether it replaces, key
--   p..unique     hash    key: until when, or nothing; the id of the job that holds it
--   p..changes    hash    id: how often the options of a job were changed
--   p..limits     hash    id: a line for each limit of a job: its gate, kind, number, ms and burst
--   p..gates      hash    gate: claims in force, next moment in us, and its limit;  p..opens zset ms: when to look at a gate
--   p..gated      zset    gate, line end, rank, line end, member of a held job that waits there;  p..gatedby hash member: that
--   p..batches    hash    id: the batch of a job;  p..tallies hash: batch: 1; batch, tab, status: n
--   p..gathered   zset    group, line end, member of a scheduled job that waits with others;  p..gatheredby hash id: that
--   p..stops      hash    type, or nothing for all of them: until when or nothing, since when, who and why
--   p..j:<id>     string  the record;  p..l:<id> list: its log;  p..k:<id> string: what it keeps;  p..t:<tag> zset: ms of the push
-- A member is a stem, a tab and an id. A stem is 11 hex digits of the push's number, 2 of 100 - priority, and the type.
-- A record is a line of stem, created, due, expires; a line of what else the push said; the payload; a line an event.
-- A claim is token, started, lease, how, due, stem, worker, nonce, cancel and progress. Fields are parted by tabs.
-- How it was made: 0 by itself, 1 ahead together with others, 2 along with a claim under limits.
-- No user's text is read or written anew here: what is JSON stays the text that it was.

local call = redis.call
local root = ARGV[1]
local clock = call('TIME')
-- The moment in ms, as text and as a number: Lua writes numbers slowly, so what is known as text stays text.
local moment = clock[1] .. string.sub('000000' .. clock[2], -6, -4)
local now = tonumber(moment)
local cursor = 1

local PENDING, RUNNING, SCHEDULED, COMPLETED, FAILED, CANCELLED = '0', '1', '2', '3', '4', '5'
local LISTS = {['2'] = 'due', ['3'] = 'completed', ['4'] = 'failed', ['5'] = 'cancelled'}
local ARRIVED_FOR = 86400000 -- ms for which `arrived` keeps an id
local SPAN = 4398046511104 -- 2^42 ms: longer than any time of ours, and 201 priorities of it fit into a double

-- The next argument.
local function arg()
    cursor = cursor + 1
    return ARGV[cursor]
end

-- The answer to a claim that was sent so long ago that nobody waits for it any more: made now, it would be nobody's.
local function refuse_if_stale(deadline)
    if deadline ~= '' and now > tonumber(deadline) then
        return redis.error_reply('STALE ' .. moment)
    end
    return nil
end

-- A whole number as text: Lua would write a large one with an exponent.
local function digits(n)
    return string.format('%.0f', n)
end

-- Where a ready job stands: by priority, then by the time it was due. Equals stand as they were pushed.
local function rank_of(stem, due)
    return tonumber(string.sub(stem, 12, 13), 16) * SPAN + math.max(0, math.min(due, SPAN - 1))
end

-- Where a job stands that comes before all others: in tiers below 0, so that its time stays what it is modulo SPAN.
local function first_rank(p, due)
    local first = call('ZRANGE', p .. 'ready', 0, 0, 'WITHSCORES')[2]
    local tier = math.min(0, math.floor(tonumber(first or 0) / SPAN))
    return math.max(tier - 1, -200) * SPAN + math.max(0, math.min(due, SPAN - 1))
end

local function type_of(member)
    return string.sub(member, 14, string.find(member, '\t', 14, true) - 1)
end

local function stem_of(member)
    return string.sub(member, 1, string.find(member, '\t', 14, true) - 1)
end

local function id_of(member)
    return string.sub(member, string.find(member, '\t', 14, true) + 1)
end

-- The number of the push of a member.
local function seq_of(member)
    return tonumber(string.sub(member, 1, 11), 16)
end

-- The index of the first of `alike` members of one score, from `low` on in the order of a range, that comes after one.
local function index_behind(range, key, low, alike, seq)
    local high = low + alike
    while low < high do
        local middle = math.floor((low + high) / 2)
        local there = seq_of(call(range, key, middle, middle)[1])
        if there ~= seq and (there > seq) == (range == 'ZRANGE') then
            high = middle
        else
            low = middle + 1
        end
    end
    return low
end

-- Tell those who listen that something may have become claimable, or due earlier.
local function wake()
    call('PUBLISH', root .. 'wake', '1')
end

-- Put a pending job into its line.
local function line_up(p, stem, id, due)
    local member = stem .. '\t' .. id
    call('ZADD', p .. 'ready', digits(rank_of(stem, due)), member)
    if due ~= now then
        call('ZADD', p .. 'since', moment, member)
    end
end

-- What a partition has ever held: jobs that are claimed `a`lone, `g`athered, under `l`imits or `u`nique, in a `b`atch, with
-- other `o`ptions than they were pushed with, and `s`tops. A queue that has none of them pays for all of them with this
-- one look, which reads its last token too.
local partitions = {}
local function known(p)
    local found = partitions[p]
    if not found then
        local said = call('HMGET', p .. 'meta', 'traits', 'token')
        found = {traits = said[1] or '', token = tonumber(said[2] or 0)}
        partitions[p] = found
    end
    return found
end

local function has(p, trait)
    return string.find(known(p).traits, trait, 1, true) ~= nil
end

local function note_trait(p, trait)
    if not has(p, trait) then
        known(p).traits = known(p).traits .. trait
        call('HSET', p .. 'meta', 'traits', known(p).traits)
    end
end

-- Note that a job came from one status into another, nil for none. `finish` brings the counts up to date: most moves
-- of one step cancel each other out, or are of one kind.
local moves = {}
local function count(p, stem, id, before, after)
    local kind = string.sub(stem, 14) .. '\t'
    local changes = moves[p] or {}
    moves[p] = changes
    if before then
        changes[kind .. before] = (changes[kind .. before] or 0) - 1
    end
    if after then
        changes[kind .. after] = (changes[kind .. after] or 0) + 1
    end
    if before and has(p, 'b') then
        local batch = call('HGET', p .. 'batches', id)
        if batch and call('HEXISTS', p .. 'tallies', batch) == 1 then
            local gone = (before == COMPLETED or before == FAILED) and before or CANCELLED
            call('HINCRBY', p .. 'tallies', batch .. '\t' .. before, -1)
            call('HINCRBY', p .. 'tallies', batch .. '\t' .. (after or gone), 1)
        end
        if batch and not after then
            call('HDEL', p .. 'batches', id)
        end
    end
end

-- A new job belongs to a batch.
local function tally(p, batch, id, status)
    note_trait(p, 'b')
    call('HSET', p .. 'batches', id, batch)
    call('HSET', p .. 'tallies', batch, '1')
    call('HINCRBY', p .. 'tallies', batch .. '\t' .. status, 1)
end

-- What a script ends with that moves jobs.
local function finish(answer)
    for p, changes in pairs(moves) do
        for field, n in pairs(changes) do
            if n ~= 0 then
                call('HINCRBY', p .. 'counts', field, n)
            end
        end
    end
    return answer
end

-- Whether a stop, as it is kept, is in force.
local function is_stopped(stop)
    local til = stop and string.match(stop, '^%d*')
    return til ~= nil and til ~= false and (til == '' or tonumber(til) > now)
end

local function write_stop(til, since, by, reason)
    return table.concat({til, since, by, reason}, '\t')
end

-- What may not be claimed of a partition now: whether nothing may be, and a set of types, nil where there are none.
local function read_stops(p)
    local all, kinds = false, nil
    local rows = has(p, 's') and call('HGETALL', p .. 'stops') or {}
    for n = 1, #rows, 2 do
        if is_stopped(rows[n + 1]) then
            if rows[n] == '' then
                all = true
            else
                kinds = kinds or {}
                kinds[rows[n]] = true
            end
        end
    end
    return all, kinds
end

-- Put the held jobs of types, within line ends, back into their line where these are not stopped: 500 at most.
local function release(p, types)
    local _, asleep = read_stops(p)
    local gated = has(p, 'l')
    local released = 0
    for start = 0, 9000, 1000 do
        local members = call('ZRANGE', p .. 'held', start - released, start - released + 999)
        for _, member in ipairs(members) do
            local kind = type_of(member)
            if released < 500 and string.find(types, '\n' .. kind .. '\n', 1, true) and not (asleep and asleep[kind])
                and not (gated and call('HEXISTS', p .. 'gatedby', member) == 1) then
                local rank = call('ZSCORE', p .. 'held', member)
                call('ZREM', p .. 'held', member)
                call('ZADD', p .. 'ready', rank, member)
                released = released + 1
            end
        end
        if #members < 1000 or released == 500 then
            break
        end
    end
    return released
end

-- Append lines to a job's log.
local function add_logs(p, id, lines)
    for n = 1, #lines, 1000 do
        call('RPUSH', p .. 'l:' .. id, unpack(lines, n, math.min(n + 999, #lines)))
    end
end

-- Read a claim: token, started, lease, how, due, stem, worker, nonce, cancel, progress.
local function read_claim(claim)
    return string.match(
        claim,
        '^(%d+)\t(%d+)\t(%d+)\t(%d)\t(%-?%d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$'
    )
end

local function write_claim(...)
    return table.concat({...}, '\t')
end

-- What a script says that misses a record which may be on its way to another node; said before anything is written.
local function not_here()
    return redis.error_reply('TRYAGAIN a record of this queue is not here')
end

-- The member of a job whose record does not tell it: somebody else has written there. Its claim or its list does, which
-- takes a walk through them.
local function lost_member(p, id)
    local claim = call('HGET', p .. 'run', id)
    local stem = claim and string.match(claim, '^%d+\t%d+\t%d+\t%d\t%-?%d+\t(%x+[^\t]*)')
    if stem then
        return stem .. '\t' .. id
    end
    for _, name in ipairs({'ready', 'held', 'due', 'completed', 'failed', 'cancelled'}) do
        local at = 0
        repeat
            local members = call('ZRANGE', p .. name, at, at + 999)
            for _, member in ipairs(members) do
                if id_of(member) == id then
                    return member
                end
            end
            at = at + 1000
        until #members < 1000
    end
    return nil
end

-- The first two lines of a record, or the stem alone where they are not those of this member.
local function head_of(record, member)
    local stem = stem_of(member)
    return string.sub(record, 1, #stem + 1) == stem .. '\t' and string.match(record, '^[^\n]*\n[^\n]*') or stem
end

-- Read the first line of a record: stem, created, due.
local function read_place(p, id)
    local head = call('GETRANGE', p .. 'j:' .. id, 0, 255)
    local stem, created, rest = string.match(head, '^(%x%x%x%x%x%x%x%x%x%x%x%x%x[^\t]+)\t(%d+)([^\n]*)')
    if not stem then
        local member = call('EXISTS', p .. 'j:' .. id) == 1 and lost_member(p, id)
        if member then
            return stem_of(member), now, now
        end
        return nil
    end
    return stem, tonumber(created), tonumber(string.match(rest, '^\t(%-?%d+)')) or tonumber(created)
end

-- Where a job is: its status, and the list that holds it with its score.
local function where(p, stem, id)
    local member = stem .. '\t' .. id
    if call('HEXISTS', p .. 'run', id) == 1 then
        return RUNNING
    end
    for _, name in ipairs({'ready', 'held'}) do
        local score = call('ZSCORE', p .. name, member)
        if score then
            return PENDING, name, tonumber(score)
        end
    end
    for status, name in pairs(LISTS) do
        local score = call('ZSCORE', p .. name, member)
        if score then
            return status, name, tonumber(score)
        end
    end
    return nil
end

-- The gate at which a held job waits.
local function gate_of(p, member)
    local entry = call('HGET', p .. 'gatedby', member)
    return entry and string.match(entry, '^[^\n]*')
end

-- Words that few jobs need are made when they are first asked for: a server makes each function anew for each script
-- that it runs, for a third of a microsecond.
local made = {}
local function gathering()
    made.gathering = made.gathering or (function()
        -- include gathering.lua
    end)()
    return made.gathering
end

-- A scheduled job is due, or something else becomes of it: it waits with no others any more.
local function wait_no_more(p, id)
    if has(p, 'g') then
        gathering().forget(p, id)
    end
end

-- Take a waiting or ended job out of its list.
local function take_out(p, name, member)
    call('ZREM', p .. name, member)
    if name == 'ready' or name == 'held' then
        call('ZREM', p .. 'since', member)
    end
    if name == 'due' then
        wait_no_more(p, id_of(member))
    end
    local entry = name == 'held' and call('HGET', p .. 'gatedby', member)
    if entry then
        call('HDEL', p .. 'gatedby', member)
        call('ZREM', p .. 'gated', entry)
    end
end

-- Fresh claim tokens, the first of n: they follow the clock, so that none is given twice even by a server
-- that has forgotten the last ones.
local function tokens(p, n)
    local first = math.max(known(p).token + 1, clock[1] * 1000000 + clock[2])
    known(p).token = first + n - 1
    call('HSET', p .. 'meta', 'token', digits(known(p).token))
    return first
end

-- The partition of a queue, where its name is computed: only where every queue is in reach.
local function partition_of(queue)
    return string.sub(root, 1, -3) .. ':' .. queue .. ':0}:'
end

-- Whether another queue holds this id: only asked for ids that do not say where they belong.
local function elsewhere(p, id)
    for _, queue in ipairs(call('SMEMBERS', root .. 'queues')) do
        local other = partition_of(queue)
        if other ~= p and call('EXISTS', other .. 'j:' .. id) == 1 then
            return true
        end
    end
    return false
end

-- Write the first line of a record; what goes without saying is left out.
local function place_of(stem, created, due, expires)
    local place = stem .. '\t' .. created
    if due ~= created or expires ~= '' then
        place = place .. '\t' .. (due ~= created and due or '')
    end
    if expires ~= '' then
        place = place .. '\t' .. expires
    end
    return place
end

-- A job to push, from the next arguments.
local function read_job()
    local job = {
        id = arg(), type = arg(), text = arg(), priority = arg(), delay = tonumber(arg()), at = arg(),
        expires = arg(), stray = arg(), unique = arg(), limits = arg(), batch = arg(), gather = arg(), tags = {},
    }
    for n = 1, tonumber(arg()) do
        job.tags[n] = arg()
    end
    return job
end

local function gates()
    made.gates = made.gates or (function()
        -- include gates.lua
    end)()
    return made.gates
end

local function uniques()
    made.uniques = made.uniques or (function()
        -- include uniques.lua
    end)()
    return made.uniques
end

-- A job is claimed.
local function enter(p, id)
    if has(p, 'l') then
        gates().enter(p, id)
    end
end

-- A job's claim is over: who waits for its place comes back into the line.
local function leave(p, id, claim)
    if has(p, 'l') then
        gates().leave(p, id, claim)
    end
end

-- A job has come so far (`start`, `end`, `gone`) that it may have to let go of its key, or of what is known of it.
local function free(p, id, at)
    if has(p, 'u') then
        uniques().free(p, id, at)
    end
    if at == 'gone' and has(p, 'o') then
        call('HDEL', p .. 'changes', id)
    end
end

-- How often the options of a job were changed, as text.
local function changes_of(p, id)
    return has(p, 'o') and call('HGET', p .. 'changes', id) or '0'
end

local function note_changes(p, id, changes)
    note_trait(p, 'o')
    call('HSET', p .. 'changes', id, changes)
end

-- Forget what else is known of a job whose record somebody has deleted or the server has evicted.
local function forget_rest(p, id)
    call('SREM', p .. 'alone', id)
    call('DEL', p .. 'j:' .. id, p .. 'l:' .. id, p .. 'k:' .. id)
    call('HDEL', p .. 'limits', id)
    free(p, id, 'gone')
end

-- Forget the claim of such a job, too: there is nothing left to run or to show.
local function drop_claim(p, id, stem, claim)
    call('HDEL', p .. 'run', id)
    leave(p, id, claim)
    forget_rest(p, id)
    count(p, stem, id, RUNNING, nil)
end

-- Store a job, unless its id is there; says whether it is new, or who holds its key. `seq` is its number.
local function store(p, job, seq)
    local id = job.id
    local key = p .. 'j:' .. id
    if job.stray == '1' and elsewhere(p, id) then
        return false
    end
    if job.unique ~= '' then
        local other = call('EXISTS', key) == 0 and uniques().make_room(p, job)
        if other then
            return false, other
        end
    end
    if job.limits ~= '' and call('EXISTS', key) == 0 then
        note_trait(p, 'l')
        call('HSET', p .. 'limits', id, job.limits)
    end
    local due = tonumber(job.at) or now + job.delay
    local stem = string.format('%011x', seq) .. job.priority .. job.type
    local expires = job.expires ~= '' and digits(math.max(due, now) + tonumber(job.expires)) or ''
    if not call('SET', key, place_of(stem, digits(now), digits(due), expires) .. '\n' .. job.text, 'NX') then
        return false
    end
    if due > now then
        call('ZADD', p .. 'due', due, stem .. '\t' .. id)
        count(p, stem, id, nil, SCHEDULED)
    else
        line_up(p, stem, id, due)
        count(p, stem, id, nil, PENDING)
    end
    if job.batch ~= '' then
        tally(p, job.batch, id, due > now and SCHEDULED or PENDING)
    end
    for _, tag in ipairs(job.tags) do
        call('ZADD', p .. 't:' .. tag, moment, stem .. '\t' .. id)
    end
    if job.gather ~= '' and due > now then
        gathering().join(p, job.gather, stem, id)
    end
    return true
end

-- Raise an error where a partition that is new finds keys of somebody else's under its names.
local function refuse_strangers(p)
    for _, name in ipairs({'ready', 'held', 'since', 'due', 'completed', 'failed', 'cancelled'}) do
        call('ZCARD', p .. name)
    end
    for _, name in ipairs({'run', 'counts', 'schedules'}) do
        call('HLEN', p .. name)
    end
end

-- Numbers for n pushes, the first of them; 1 where this is the partition's first push.
local function numbers(p, n)
    if call('EXISTS', p .. 'meta') == 0 then
        refuse_strangers(p)
    end
    return call('HINCRBY', p .. 'meta', 'seq', n) - n + 1
end

-- A fresh revision for a schedule: it follows the clock, so that none is given twice even by a server that has
-- forgotten the last ones.
local function next_revision(p)
    local last = tonumber(call('HGET', p .. 'meta', 'revision') or 0)
    local new = digits(math.max(last + 1, clock[1] * 1000000 + clock[2]))
    call('HSET', p .. 'meta', 'revision', new)
    return new
end
