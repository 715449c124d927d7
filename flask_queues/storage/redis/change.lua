-- Cancel, retry or hurry a job.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; id; `cancel`, `retry` or `hurry`; reason; how long a retry waits; nonce, and those of tries before
-- whose answers were lost.
-- Returns the status it had, the id of another job in a row where that holds its key, `options` where only its claim tells
-- what its end causes, or nothing.

local p, id, what, reason, delay, nonce, unsure = arg(), arg(), arg(), arg(), tonumber(arg()), arg(), arg()
local key = p .. 'j:' .. id

local function done_before()
    local record = unsure ~= '' and call('GET', key)
    if not record then
        return nil
    end
    local status, with = string.match(record, '\n[CY]\t%d+\t(%d)\t([^\t\n]*)[^\n]*$')
    return with and string.find(unsure, with, 1, true) and status
end

local function cancel(stem, status, list)
    if status == RUNNING then
        local fields = {read_claim(call('HGET', p .. 'run', id))}
        fields[9] = reason
        call('HDEL', p .. 'run', id) -- of a script, a full server refuses only a first write that needs memory
        call('HSET', p .. 'run', id, table.concat(fields, '\t'))
    elseif status == PENDING or status == SCHEDULED then
        take_out(p, list, stem .. '\t' .. id)
        call('ZADD', p .. 'cancelled', now, stem .. '\t' .. id)
        call('APPEND', key, table.concat({'\nC', digits(now), status, nonce, reason}, '\t'))
        count(p, stem, id, status, CANCELLED)
        free(p, id, 'end')
    end
end

local function retry(stem, status, list)
    local other = (status == FAILED or status == CANCELLED) and has(p, 'u') and uniques().hold_again(p, id)
    if other then
        return {other}
    end
    if status == SCHEDULED or status == FAILED or status == CANCELLED then
        take_out(p, list, stem .. '\t' .. id)
        if delay > 0 then
            call('ZADD', p .. 'due', digits(now + delay), stem .. '\t' .. id)
        else
            line_up(p, stem, id, now)
        end
        call('APPEND', key, table.concat({'\nY', digits(now + delay), status, nonce}, '\t'))
        count(p, stem, id, status, delay > 0 and SCHEDULED or PENDING)
        wake()
    end
end

-- What waits at a gate comes back into the line; the next step finds out whether that is still shut.
local function hurry(stem, status, list, score)
    if status ~= PENDING and status ~= SCHEDULED then
        return
    end
    local member = stem .. '\t' .. id
    local since = list ~= 'due' and call('ZSCORE', p .. 'since', member)
    local due = list == 'due' and math.min(score, now) or score % SPAN
    take_out(p, list, member)
    call('ZADD', p .. 'ready', digits(first_rank(p, due)), member)
    if since or (list == 'due' and due ~= now) then
        call('ZADD', p .. 'since', since or moment, member)
    end
    count(p, stem, id, status, PENDING)
    wake()
end

local stem = read_place(p, id)
if not stem then
    return false
end
local before = done_before()
if before then
    return before
end
local status, list, score = where(p, stem, id)
if what == 'cancel' then
    if (status == PENDING or status == SCHEDULED) and changes_of(p, id) ~= '0' then
        return 'options'
    end
    cancel(stem, status, list)
elseif what == 'hurry' then
    hurry(stem, status, list, score)
else
    local other = retry(stem, status, list)
    if other then
        return other
    end
end
return finish(status)
