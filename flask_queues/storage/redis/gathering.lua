-- How jobs wait for each other, for `lib.lua`: asked of a queue only once one of its jobs is gathered.

-- A job waits with no others any more.
local function forget(p, id)
    local entry = call('HGET', p .. 'gatheredby', id)
    if entry then
        call('HDEL', p .. 'gatheredby', id)
        call('ZREM', p .. 'gathered', entry)
    end
end

-- Those of a group that wait for a time still ahead; any other is forgotten.
local function together(p, first, last)
    local found = {}
    for _, entry in ipairs(call('ZRANGEBYLEX', p .. 'gathered', first, last)) do
        local member = string.match(entry, '\n(.*)$')
        local due = call('ZSCORE', p .. 'due', member)
        if due and tonumber(due) > now then
            found[#found + 1] = member
        else
            forget(p, id_of(member))
        end
    end
    return found
end

-- One more of a group waits, stored just now; if it makes the group complete, all of it is pending.
local function join(p, said, stem, id)
    local size, group = string.match(said, '^(%d+)\t(.*)$')
    local entry = group .. '\n' .. stem .. '\t' .. id
    note_trait(p, 'g')
    call('ZADD', p .. 'gathered', '0', entry)
    call('HSET', p .. 'gatheredby', id, entry)
    local first, last = '[' .. group .. '\n', '(' .. group .. '\11'
    if call('ZLEXCOUNT', p .. 'gathered', first, last) < tonumber(size) then
        return
    end
    local members = together(p, first, last)
    for _, member in ipairs(#members >= tonumber(size) and members or {}) do
        call('ZREM', p .. 'due', member)
        forget(p, id_of(member))
        line_up(p, stem_of(member), id_of(member), now)
        count(p, stem_of(member), id_of(member), SCHEDULED, PENDING)
    end
end

return {forget = forget, join = join}
