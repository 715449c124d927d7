-- Claim one job by its id, unless it is running, completed or not there.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; the moment after which nobody waits for the answer; partition; id; lease; worker; nonce, and those of the tries before whose answers were lost.
-- Returns claim and record; the id of another job alone that holds its key; or nothing.

local stale = refuse_if_stale(arg())
if stale then
    return stale
end
local p, id, lease, worker, nonce, unsure = arg(), arg(), tonumber(arg()), arg(), arg(), arg()

local claim = call('HGET', p .. 'run', id)
if claim then
    local _, _, _, _, _, stem, by, with = read_claim(claim)
    if unsure ~= '' and by == worker and string.find(unsure, with, 1, true) then
        local record = call('GET', p .. 'j:' .. id)
        if record then
            return {claim, record}
        end
        drop_claim(p, id, stem, claim)
        return finish(false)
    end
    return false
end
local stem, _, due = read_place(p, id)
local status, list, score = PENDING, nil, nil
if stem then
    status, list, score = where(p, stem, id)
end
if not list or status == COMPLETED then
    return false
end
if status == PENDING then
    due = score % SPAN
elseif status == SCHEDULED then
    due = score
end
local other = (status == FAILED or status == CANCELLED) and has(p, 'u') and uniques().hold_again(p, id)
if other then
    return {other}
end
take_out(p, list, stem .. '\t' .. id)
free(p, id, 'start')
enter(p, id)
if status == FAILED or status == CANCELLED then
    due = now
    call('APPEND', p .. 'j:' .. id, '\nY\t' .. digits(now) .. '\t' .. status .. '\t' .. nonce)
end
claim = write_claim(
    digits(tokens(p, 1)), digits(now), digits(now + lease), '0', digits(due), stem, worker, nonce, '', ''
)
call('HSET', p .. 'run', id, claim)
count(p, stem, id, status, RUNNING)
return finish({claim, call('GET', p .. 'j:' .. id)})
