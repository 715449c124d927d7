-- How limits hold jobs back, for `lib.lua`: asked of a queue only once one of its jobs is under a limit.

-- Read the limits of a job, or of a gate.
local function read_limits(text)
    local limits = {}
    for name, kind, n, per, burst in string.gmatch(text, '([^\t\n]+)\t(%a+)\t(%d+)\t(%d+)\t(%d+)') do
        limits[#limits + 1] = {
            name = name, kind = kind, n = tonumber(n), per = tonumber(per), burst = tonumber(burst),
            text = table.concat({name, kind, n, per, burst}, '\t'),
        }
    end
    return limits
end

local function limits_of(p, id)
    return read_limits(call('HGET', p .. 'limits', id) or '')
end

-- Microseconds from one to the next, of a rate.
local function pace_of(limit)
    return math.max(1, math.floor(limit.per * 1000 / limit.n))
end

-- When the next one would begin, so that the gate opens within the time of its rate: whoever passed it may have done so
-- by a clock that was set back since.
local function bounded(limit, after)
    return math.min(after, now * 1000 + limit.per * 1000 + (limit.burst - 1) * pace_of(limit))
end

-- Claims in force of a limit, and when the next one would begin.
local function read_gate(p, limit)
    local used, after = string.match(call('HGET', p .. 'gates', limit.name) or '', '^(%d+)\t(%d+)')
    return tonumber(used or 0), bounded(limit, tonumber(after or 0))
end

local function write_gate(p, limit, used, after)
    call('HSET', p .. 'gates', limit.name, digits(used) .. '\t' .. digits(after) .. '\t' .. limit.text)
end

-- The moment from which on a job may pass: 0 where it may now, nil where only a job's end opens the gate.
local function opens_at(limit, used, after)
    if limit.kind == 'concurrency' then
        if used < limit.n then
            return 0
        end
        return nil
    end
    local first = after - (limit.burst - 1) * pace_of(limit)
    return first <= now * 1000 and 0 or math.ceil(first / 1000)
end

-- How many may pass now.
local function room_at(limit, used, after)
    if limit.kind == 'concurrency' then
        return math.max(0, math.min(100, limit.n - used))
    end
    local first = after - (limit.burst - 1) * pace_of(limit)
    return math.max(0, math.min(100, limit.burst, math.floor((now * 1000 - first) / pace_of(limit)) + 1))
end

-- A rank as text that sorts as ranks do, also those below 0.
local BELOW = 256 * SPAN
local function rank_text(rank)
    return rank < 0 and '-' .. string.format('%016.0f', rank + BELOW) or string.format('%016.0f', rank)
end

local function read_rank(text)
    local below = string.match(text, '^%-(%d+)$')
    return below and tonumber(below) - BELOW or tonumber(text)
end

-- Let a ready job wait at a gate.
local function hold_at(p, limit, member, rank)
    local entry = limit.name .. '\n' .. rank_text(rank) .. '\n' .. member
    call('ZREM', p .. 'ready', member)
    call('ZADD', p .. 'held', digits(rank), member)
    call('ZADD', p .. 'gated', 0, entry)
    call('HSET', p .. 'gatedby', member, entry)
end

-- Put the first that wait at a gate back into their line; returns how many.
local function through(p, limit, most)
    if most == 0 then
        return 0
    end
    local from = '[' .. limit.name .. '\n'
    local entries = call('ZRANGEBYLEX', p .. 'gated', from, from .. '\255', 'LIMIT', 0, most)
    for _, entry in ipairs(entries) do
        local rank, member = string.match(entry, '^[^\n]*\n(%-?%d+)\n(.*)$')
        call('ZREM', p .. 'gated', entry)
        call('HDEL', p .. 'gatedby', member)
        call('ZREM', p .. 'held', member)
        call('ZADD', p .. 'ready', digits(read_rank(rank)), member)
    end
    return #entries
end

-- The jobs under just these limits (member, rank) among the first thousand of the line, and of each of their gates.
local function alike(p, text)
    local rows = call('ZRANGE', p .. 'ready', '0', '999', 'WITHSCORES')
    for _, limit in ipairs(read_limits(text)) do
        local from = '[' .. limit.name .. '\n'
        for _, entry in ipairs(call('ZRANGEBYLEX', p .. 'gated', from, from .. '\255', 'LIMIT', 0, 1000)) do
            local rank, member = string.match(entry, '^[^\n]*\n(%-?%d+)\n(.*)$')
            rows[#rows + 1] = member
            rows[#rows + 1] = digits(read_rank(rank))
        end
    end
    local found = {}
    for n = 1, #rows, 2000 do
        local ids = {}
        for m = n, math.min(n + 1998, #rows), 2 do
            ids[#ids + 1] = id_of(rows[m])
        end
        for m, limits in ipairs(call('HMGET', p .. 'limits', unpack(ids))) do
            if limits == text then
                local at = n + 2 * (m - 1)
                found[#found + 1] = {rows[at], tonumber(rows[at + 1])}
            end
        end
    end
    table.sort(found, function(one, other)
        return one[2] < other[2] or (one[2] == other[2] and one[1] < other[1])
    end)
    return found
end

-- Whether a claim came along with one under limits.
local function is_along(claim)
    return string.find(claim, '^%d+\t%d+\t%d+\t2') ~= nil
end

-- The first jobs (member, rank), so many and of these types, that may come along with a claim: none where it is not in
-- force, nil where it holds no place at a gate.
local function come_along(p, first, token, types, most)
    local claim = call('HGET', p .. 'run', first)
    local limits = has(p, 'l') and call('HGET', p .. 'limits', first)
    if not claim or string.sub(claim, 1, #token + 1) ~= token .. '\t' then
        return {}
    elseif not limits or is_along(claim) then
        return nil
    end
    local stopped, asleep = read_stops(p)
    local found = {}
    for _, job in ipairs(stopped and found or alike(p, limits)) do
        local id, kind = id_of(job[1]), type_of(job[1])
        if #found < most and string.find(types, '\n' .. kind .. '\n', 1, true) and not (asleep and asleep[kind])
            and not (has(p, 'a') and call('SISMEMBER', p .. 'alone', id) == 1) then
            found[#found + 1] = job
        end
    end
    return found
end

-- A job is claimed.
local function enter(p, id)
    for _, limit in ipairs(limits_of(p, id)) do
        local used, after = read_gate(p, limit)
        if limit.kind == 'concurrency' then
            used = used + 1
        else
            after = bounded(limit, math.max(after, now * 1000) + pace_of(limit))
        end
        write_gate(p, limit, used, after)
        if limit.kind ~= 'concurrency' and call('ZSCORE', p .. 'opens', limit.name) then
            call('ZADD', p .. 'opens', digits(math.max(now, opens_at(limit, used, after))), limit.name)
        end
    end
end

-- A job's claim is over: who waits for its place comes back into the line. What came along with another has none.
local function leave(p, id, claim)
    if is_along(claim) then
        return
    end
    for _, limit in ipairs(limits_of(p, id)) do
        if limit.kind == 'concurrency' then
            local used, after = read_gate(p, limit)
            used = math.max(0, used - 1)
            write_gate(p, limit, used, after)
            if through(p, limit, room_at(limit, used, after)) > 0 then
                wake()
            end
        end
    end
end

-- The first gate that a job cannot pass now; it is looked at again when it opens.
local function closed(p, id)
    for _, limit in ipairs(limits_of(p, id)) do
        local used, after = read_gate(p, limit)
        local opens = opens_at(limit, used, after)
        if opens ~= 0 then
            write_gate(p, limit, used, after)
            if opens then
                call('ZADD', p .. 'opens', digits(opens), limit.name)
            end
            return limit
        end
    end
    return nil
end

-- Put those back into their line that wait at gates which have opened.
local function let_through(p)
    for _, name in ipairs(call('ZRANGEBYSCORE', p .. 'opens', '-inf', moment, 'LIMIT', '0', '20')) do
        local text = call('HGET', p .. 'gates', name) or ''
        local limit = read_limits((string.gsub(text, '^%d+\t%d+\t', '')))[1]
        call('ZREM', p .. 'opens', name)
        if limit then
            local used, after = read_gate(p, limit)
            through(p, limit, room_at(limit, used, after))
            local from = '[' .. name .. '\n'
            if #call('ZRANGEBYLEX', p .. 'gated', from, from .. '\255', 'LIMIT', 0, 1) > 0 then
                local opens = opens_at(limit, used, after)
                call('ZADD', p .. 'opens', digits(opens and opens > 0 and opens or now + 1000), name)
            end
        end
    end
end

-- Let through what waits at gates with room, since one that was let through before never got there; forget gates that
-- nobody passes any more. Returns how many jobs came back.
local function mend(p)
    local came = 0
    local rows = call('HGETALL', p .. 'gates')
    for n = 1, #rows, 2 do
        local limit = read_limits((string.gsub(rows[n + 1], '^%d+\t%d+\t', '')))[1]
        local used, after = read_gate(p, limit)
        local opens = call('ZSCORE', p .. 'opens', limit.name)
        if opens then
            local sooner = math.max(now, opens_at(limit, used, after) or now)
            if limit.kind ~= 'concurrency' and sooner + 1000 < tonumber(opens) then -- the clock was set back
                write_gate(p, limit, used, after)
                call('ZADD', p .. 'opens', digits(sooner), limit.name)
            end
        else
            came = came + through(p, limit, room_at(limit, used, after))
            if used == 0 and after < now * 1000 then
                call('HDEL', p .. 'gates', limit.name)
            end
        end
    end
    return came
end

return {
    hold_at = hold_at, come_along = come_along, enter = enter, leave = leave, closed = closed, let_through = let_through, mend = mend,
}
