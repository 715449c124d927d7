-- Who holds the keys of unique jobs, for `lib.lua`: asked of a queue only once one of its jobs is unique.

-- Read how a job is unique: until when it holds its key, for how long, whether it replaces another, the key; nothing where
-- that cannot be read.
local function read_unique(said)
    return string.match(said, '^(%a+)\t(%d+)\t(%d)\t(.*)$')
end

-- The id of the job that holds a key.
local function holder(p, key)
    local til, id = string.match(call('HGET', p .. 'unique', key) or '', '^(%d*)\t(.*)$')
    if not id or (til ~= '' and tonumber(til) <= now) then
        return nil
    end
    return id
end

-- Let a job hold its key from a moment on.
local function hold(p, id, said, since)
    local til, lasts, _, key = read_unique(said)
    call('HSET', p .. 'unique', key, (til == 'time' and digits(since + tonumber(lasts)) or '') .. '\t' .. id)
end

-- A job has come so far (`start`, `end`, `gone`) that it may have to let go of its key.
local function free(p, id, at)
    local said = call('HGET', p .. 'keys', id)
    if not said then
        return
    end
    local til, _, _, key = read_unique(said)
    if key and (at == 'gone' or (til ~= 'time' and (at == til or at == 'end'))) then
        if holder(p, key) == id then
            call('HDEL', p .. 'unique', key)
        end
    end
    if at == 'gone' then
        call('HDEL', p .. 'keys', id)
    end
end

-- Give an ended job its key again; returns the id of another that holds it.
local function hold_again(p, id)
    local said = call('HGET', p .. 'keys', id)
    if not said then
        return nil
    end
    local _, _, _, key = read_unique(said)
    if not key then -- it cannot be read, and holds nothing
        return nil
    end
    local other = holder(p, key)
    if other and other ~= id then
        return other
    end
    hold(p, id, said, now)
    return nil
end

-- Cancel a waiting job in whose place another comes; false where it does not wait.
local function supersede(p, id, by)
    local stem = read_place(p, id)
    if not stem then
        return true
    end
    local status, list = where(p, stem, id)
    if status ~= PENDING and status ~= SCHEDULED then
        return false
    end
    take_out(p, list, stem .. '\t' .. id)
    call('ZADD', p .. 'cancelled', moment, stem .. '\t' .. id)
    call('APPEND', p .. 'j:' .. id, table.concat({'\nC', moment, status, '', '"Replaced by job ' .. by .. '."'}, '\t'))
    count(p, stem, id, status, CANCELLED)
    return true
end

-- Let a unique job that is to be stored hold its key; returns the id of another that holds it.
local function make_room(p, job)
    local _, _, replace, key = read_unique(job.unique)
    local other = holder(p, key)
    if other and not (replace == '1' and supersede(p, other, job.id)) then
        return other
    end
    note_trait(p, 'u')
    call('HSET', p .. 'keys', job.id, job.unique)
    hold(p, job.id, job.unique, now)
    return nil
end

return {
    read = read_unique, holder = holder, hold = hold, free = free, hold_again = hold_again, make_room = make_room,
}
