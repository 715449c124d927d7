-- Settle what a child has done and claim its next jobs.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; the moment after which nobody waits for the answer; nonces of this child's steps whose answers were
-- lost, or nothing; `all` where every queue is in reach, else `queue`, or `whole` where its slot does not move;
-- queues wanted: number, prefix of each; lease, limit, behind, only, types and short types (each within line ends);
-- worker, nonce; id and token of the claim with which these run together, or nothing; number of settlements; of each its partition's prefix and what `read_settlement` reads.
-- Returns: numbers of lost settlements; claims (number of the queue, id, claim, record); number of a queue and types
-- that were passed over, for each queue; numbers of the settlements whose push into another partition waits in `out`,
-- negative where that is what follows since the job's end was asked for;
-- now; the number of the queue at which the look ended, 0 where none holds anything; how many jobs were set aside;
-- settlements that were made from other options (number of the settlement, how often they were changed, claim, record).

local stale = refuse_if_stale(arg())
if stale then
    return stale
end
local unsure = arg()
local reach = arg()
local near = reach == 'all'
local wanted = {}
for n = 1, tonumber(arg()) do
    wanted[n] = arg()
end
local lease, limit, behind, only = tonumber(arg()), math.min(tonumber(arg()), 1000), arg() == '1', arg() == '1'
local last_wanted = tostring(limit - 1)
local types, short = arg(), arg()
local worker, nonce = arg(), arg()
local first, first_token = arg(), arg()
local LOOK_PAST, PROMOTE, NOTHING = 1000, '100', {}

local function is_of(list, kind)
    return string.find(list, '\n' .. kind .. '\n', 1, true) ~= nil
end

-- What a settlement causes, of so many jobs.
local function read_pushes(number)
    local pushes = {}
    for n = 1, number do
        local p, queue = arg(), arg()
        local outward = arg()
        pushes[n] = {p = p, queue = queue, outward = outward, job = read_job()}
    end
    return pushes
end

-- Most settlements say no more than how the run ended.
local function read_settlement()
    local one = {
        p = arg(), id = arg(), token = arg(), status = arg(), outcome = arg(), counted = arg(), delay = 0,
        error = '', result = '', reason = '', progress = '', alone = '', logs = NOTHING, follows = NOTHING,
        stop = '0', changes = '0', memory = '',
    }
    if arg() == '' then
        return one
    end
    one.delay, one.error, one.result, one.reason = tonumber(arg()), arg(), arg(), arg()
    one.progress, one.alone, one.logs = arg(), arg(), {}
    for n = 1, tonumber(arg()) do
        one.logs[n] = arg()
    end
    one.follows = read_pushes(tonumber(arg()))
    one.stop = arg()
    local instead = tonumber(arg())
    one.instead = instead >= 0 and read_pushes(instead) or nil
    one.changes, one.memory = arg(), arg()
    return one
end

-- Push what follows, or note it where its partition is out of reach.
local function follow(one)
    local waits = false
    for _, push in ipairs(one.follows) do
        if near or push.p == one.p then
            local first = numbers(push.p, 1)
            if first == 1 and near then
                call('SADD', root .. 'queues', push.queue)
            end
            store(push.p, push.job, first)
        else
            call('HSET', one.p .. 'out', push.job.id, digits(now) .. '\t' .. push.outward)
            waits = true
        end
    end
    wake()
    return waits
end

-- Let nothing of a partition be claimed until a moment, unless that is so for longer already.
local function stop(p, til, reason)
    local there = call('HGET', p .. 'stops', '')
    note_trait(p, 's')
    if not is_stopped(there) or (tonumber(string.match(there, '^%d+')) or til) < til then
        call('HSET', p .. 'stops', '', write_stop(digits(til), moment, '', reason))
    end
end

-- End a claim. Returns whether it was in force, whether a push waits in `out`, and what tells of a claim that stays since
-- its job has other options by now.
local function settle(one)
    local p, id, token = one.p, one.id, one.token
    local claim = call('HGET', p .. 'run', id)
    if not claim or string.sub(claim, 1, #token + 1) ~= token .. '\t' then
        local done = unsure ~= '' and call('GET', p .. 'j:' .. id)
        return done and string.find(done, '\nS\t' .. token .. '\t', 1, true) ~= nil, false
    end
    local changes = changes_of(p, id)
    local record = changes ~= one.changes and call('GET', p .. 'j:' .. id)
    if record then
        return true, false, {changes, claim, record}
    end
    local _, started, _, _, due, stem, by, _, cancel, progress = read_claim(claim)
    local status, reason = one.status, one.reason
    if cancel ~= '' and (status == PENDING or status == SCHEDULED) then
        status, reason = CANCELLED, ''
    end
    if reason == '' and (status == CANCELLED or one.instead) then
        reason = cancel
    end
    one.stopped = one.instead ~= nil and cancel ~= ''
    if one.stopped then
        one.follows = one.instead
    end
    if one.progress ~= '' then
        progress = one.progress
    end
    local new_due = status == SCHEDULED and digits(now + one.delay) or ''
    local member = stem .. '\t' .. id
    local line = table.concat({
        '\nS', token, status, moment, started, by, one.outcome, one.counted, new_due, progress, reason,
        one.error, one.result,
    }, '\t') .. (one.memory == '' and '' or '\t' .. one.memory)
    call('HDEL', p .. 'run', id)
    if call('APPEND', p .. 'j:' .. id, line) == #line then -- the record is gone: there was nothing to append to
        drop_claim(p, id, stem, claim)
        return false, false
    end
    leave(p, id, claim)
    if status == PENDING then
        line_up(p, stem, id, tonumber(due))
        wake()
    elseif status == SCHEDULED then
        call('ZADD', p .. 'due', now + one.delay, member)
        wake()
    else
        call('ZADD', p .. LISTS[status], moment, member)
    end
    count(p, stem, id, RUNNING, status)
    if status ~= PENDING and status ~= SCHEDULED then
        free(p, id, 'end')
    end
    if one.alone == '1' then
        note_trait(p, 'a')
        call('SADD', p .. 'alone', id)
    end
    add_logs(p, id, one.logs)
    if one.stop ~= '0' then
        stop(p, now + tonumber(one.stop), '"Job ' .. id .. ' raised RateLimited."')
    end
    if status == PENDING or status == SCHEDULED then
        return true, false
    end
    return true, #one.follows > 0 and follow(one)
end

-- Make due jobs of a partition pending.
local function promote(p)
    for _, member in ipairs(call('ZRANGEBYSCORE', p .. 'due', '-inf', moment, 'LIMIT', '0', PROMOTE)) do
        local due = tonumber(call('ZSCORE', p .. 'due', member))
        local stem = stem_of(member)
        call('ZREM', p .. 'due', member)
        call('ZADD', p .. 'ready', rank_of(stem, due), member)
        wait_no_more(p, id_of(member))
        count(p, stem, id_of(member), SCHEDULED, PENDING)
    end
end

-- The first jobs of a line that this worker may claim (member, rank, type), the types before them that it does not
-- know, and the jobs before them whose type is asleep (member and rank in turn).
local function head(p, asleep)
    for _, window in ipairs({limit, LOOK_PAST}) do
        local found, unknown, seen, sleeping = {}, {}, {}, {}
        local rows = call('ZRANGE', p .. 'ready', '0', window == limit and last_wanted or '999', 'WITHSCORES')
        for n = 1, #rows, 2 do
            local kind = type_of(rows[n])
            if asleep and asleep[kind] then
                sleeping[#sleeping + 1] = rows[n]
                sleeping[#sleeping + 1] = rows[n + 1]
            elseif is_of(types, kind) then
                found[#found + 1] = {rows[n], tonumber(rows[n + 1]), kind}
                if #found == limit then
                    break
                end
            elseif not seen[kind] then
                seen[kind] = true
                unknown[#unknown + 1] = kind
            end
        end
        if #unknown + #sleeping == 0 or window == LOOK_PAST or #rows < 2 * window then
            if only then
                return found, NOTHING, NOTHING
            end
            return found, unknown, sleeping
        end
    end
end

-- Hold jobs (member and rank in turn), and tell how many.
local function set_aside(p, rows)
    for n = 1, #rows, 2 do
        call('ZREM', p .. 'ready', rows[n])
        call('ZADD', p .. 'held', rows[n + 1], rows[n])
    end
    return #rows / 2
end

-- What of a line's head may be claimed in one go, and how.
local function together(p, found)
    local along = {}
    if limit > 1 or behind then
        local loners = has(p, 'a')
        for n, job in ipairs(found) do
            local id = id_of(job[1])
            if not is_of(short, job[3]) or (loners and call('SISMEMBER', p .. 'alone', id) == 1)
                or (has(p, 'l') and call('HEXISTS', p .. 'limits', id) == 1) then
                break
            end
            along[n] = job
        end
    end
    if behind then
        return along, '1'
    end
    if #along > 0 then
        return along, #along > 1 and '1' or '0'
    end
    return {found[1]}, '0'
end

-- Claim jobs (member, rank) that were in the line, or are out of whatever they waited in.
local function take(p, queue, jobs, how, claims)
    if #jobs == 0 then
        return
    end
    local members, held = {}, {}
    for n, job in ipairs(jobs) do
        members[n] = job[1]
    end
    call('ZREM', p .. 'ready', unpack(members))
    call('ZREM', p .. 'since', unpack(members))
    local token = tokens(p, #jobs)
    local valid = digits(now + lease)
    for n, member in ipairs(members) do
        local stem, id = stem_of(member), id_of(member)
        local record = call('GET', p .. 'j:' .. id)
        if record then
            local due = digits(jobs[n][2] % SPAN)
            local claim = write_claim(digits(token + n - 1), moment, valid, how, due, stem, worker, nonce, '', '')
            held[#held + 1] = id
            held[#held + 1] = claim
            for _, part in ipairs({queue, id, claim, record}) do
                claims[#claims + 1] = part
            end
        end
        count(p, stem, id, PENDING, record and RUNNING or nil)
        if record then
            free(p, id, 'start')
            if how ~= '2' then
                enter(p, id)
            end
        else
            forget_rest(p, id)
        end
    end
    if #held > 0 then
        call('HSET', p .. 'run', unpack(held))
    end
end

if reach == 'queue' then
    -- While a slot moves, a record may lie on the other node already: find out before anything is written.
    local function all_here(p)
        local members = call('ZRANGEBYSCORE', p .. 'due', '-inf', moment, 'LIMIT', '0', PROMOTE)
        local _, asleep = read_stops(p)
        local along = first ~= '' and gates().come_along(p, first, first_token, types, limit)
        for _, job in ipairs(along or (head(p, asleep))) do
            members[#members + 1] = job[1]
        end
        for _, member in ipairs(members) do
            if call('EXISTS', p .. 'j:' .. id_of(member)) == 0 then
                return false
            end
        end
        return true
    end

    for _, p in ipairs(wanted) do
        if not all_here(p) then
            return not_here()
        end
    end
end
local claims = {}
if unsure ~= '' then
    -- What a step whose answer was lost has claimed, if it did; then the claims of which the record is gone.
    local function claimed_before()
        local claims, gone = {}, {}
        for queue, p in ipairs(wanted) do
            local run = call('HGETALL', p .. 'run')
            for n = 1, #run, 2 do
                local _, _, _, _, _, stem, by, with = read_claim(run[n + 1])
                if by == worker and string.find(unsure, with, 1, true) then
                    local record = call('GET', p .. 'j:' .. run[n])
                    if record then
                        for _, part in ipairs({queue, run[n], run[n + 1], record}) do
                            claims[#claims + 1] = part
                        end
                    else
                        gone[#gone + 1] = {p, run[n], stem, run[n + 1]}
                    end
                end
            end
        end
        return claims, gone
    end

    local gone
    claims, gone = claimed_before()
    if #gone > 0 and reach == 'queue' then
        return not_here()
    end
    for _, claim in ipairs(gone) do
        drop_claim(unpack(claim))
    end
end
local lost, waits, outdated = {}, {}, {}
for n = 1, tonumber(arg()) do
    local one = read_settlement()
    local done, outward, anew = settle(one)
    if anew then
        outdated[#outdated + 1] = {n, unpack(anew)}
    elseif not done then
        lost[#lost + 1] = n
    elseif outward then
        waits[#waits + 1] = one.stopped and -n or n
    end
end

local passed, ended, aside = {}, 0, 0
if #claims == 0 then
    for queue, p in ipairs(wanted) do
        promote(p)
        local along = first ~= '' and gates().come_along(p, first, first_token, types, limit)
        if along then
            for _, job in ipairs(along) do
                take_out(p, 'held', job[1])
            end
            take(p, queue, along, '2', claims)
            break
        end
        local stopped, asleep = read_stops(p)
        local found, unknown, sleeping = {}, {}, {}
        if not stopped then
            if has(p, 'l') then
                gates().let_through(p)
            end
            found, unknown, sleeping = head(p, asleep)
        end
        aside = aside + set_aside(p, sleeping)
        while #found > 0 and not behind and has(p, 'l') and aside <= LOOK_PAST do
            local limit = gates().closed(p, id_of(found[1][1]))
            if not limit then
                break
            end
            gates().hold_at(p, limit, found[1][1], found[1][2])
            found, unknown, sleeping = head(p, asleep)
            aside = aside + 1 + set_aside(p, sleeping)
        end
        if aside > LOOK_PAST then
            found = {}
        end
        if #unknown > 0 then
            passed[#passed + 1] = {queue, unpack(unknown)}
        end
        if #found > 0 then
            local members, how = together(p, found)
            take(p, queue, members, how, claims)
            ended = queue
            break
        end
    end
end
return finish({lost, claims, passed, waits, now, ended, aside, outdated})
