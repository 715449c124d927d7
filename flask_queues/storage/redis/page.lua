-- Read a page of a partition's jobs: those first that came last into their status, or the other way round.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; statuses, a digit each; type or nothing; tag or nothing, with `t` before it; limit;
-- how many jobs to look at; `1` for the oldest first; the moment and number of the push after which the page begins.
-- Returns where the look ended if it did not reach the end (moment, number), or nothing; then a row of moment,
-- number, status, whether it is held, member, claim or, where jobs are gathered, when a pending one was due, and record for
-- each job.

local p, statuses, kind, tag = arg(), arg(), arg(), arg()
local limit, look_at = tonumber(arg()), tonumber(arg())
local oldest = arg() == '1'
local begin, begin_seq = tonumber(arg()), tonumber(arg())
local RANGE = oldest and 'ZRANGE' or 'ZREVRANGE'
local found = {}
local floor = nil

-- Whether a place (moment, number) comes after another on the list.
local function is_after(moment, seq, other, other_seq)
    if oldest then
        moment, seq, other, other_seq = other, other_seq, moment, seq
    end
    return moment < other or (moment == other and seq < other_seq)
end

-- The index, counted in the order of the list, of the first member of a zset after a place.
local function index_after(key, score, seq)
    local text = digits(score)
    local low = oldest and call('ZCOUNT', key, '-inf', '(' .. text) or call('ZCOUNT', key, '(' .. text, '+inf')
    return index_behind(RANGE, key, low, call('ZCOUNT', key, text, text), seq)
end

-- Walk a zset from an index on; `base` is what its scores exceed the moments by, and the walk ends where they are
-- not between nothing and `top`. `look` is shown each chunk of rows before `keep` is asked for one after another.
local function walk(key, index, base, top, budget, keep, look)
    local kept, chunk = 0, limit + 1
    local moment, seq
    while kept <= limit do
        if budget <= 0 then
            if moment and (not floor or is_after(floor[1], floor[2], moment, seq)) then
                floor = {moment, seq}
            end
            return
        end
        local rows = call(RANGE, key, index, index + chunk - 1, 'WITHSCORES')
        if look and #rows > 0 then
            look(rows)
        end
        for n = 1, #rows, 2 do
            local member = rows[n]
            moment, seq = tonumber(rows[n + 1]) - base, seq_of(member)
            if moment < 0 or moment >= top then
                return
            end
            if (kind == '' or kind == type_of(member)) and keep(member, moment, seq) then
                kept = kept + 1
                if kept > limit then
                    return
                end
            end
        end
        if #rows < 2 * chunk then
            return
        end
        index = index + chunk
        budget = budget - chunk
        chunk = math.min(math.max(budget, 1), chunk * 4, 2000)
    end
end

local function walk_list(name, budget, keep, look)
    walk(p .. name, index_after(p .. name, begin, begin_seq), 0, math.huge, budget, keep, look)
end

local function keeper(status, held)
    return function(member, moment, seq)
        found[#found + 1] = {moment, seq, status, held, member}
        return true
    end
end

-- Pending jobs lie by priority, and within one by the time they were due, which is when they became pending;
-- those for which it is not are in `since`.
local function walk_line(name, held, budget)
    local key = p .. name
    local keep = keeper(PENDING, held)
    local displaced = call('EXISTS', p .. 'since') == 1
    local number = begin < 0 and -1 or begin < SPAN and begin_seq or SPAN * 2
    local top = '+inf'
    while true do
        local last = call('ZREVRANGEBYSCORE', key, top, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
        if #last == 0 then
            return
        end
        local base = math.floor(tonumber(last[2]) / SPAN) * SPAN
        local index = index_after(key, base + math.max(0, math.min(begin, SPAN - 1)), number)
        walk(key, index, base, SPAN, budget, function(member, moment, seq)
            return not (displaced and call('ZSCORE', p .. 'since', member)) and keep(member, moment, seq)
        end)
        top = '(' .. digits(base)
    end
end

local function walk_since(budget)
    walk_list('since', budget, function(member, moment, seq)
        local held = call('ZSCORE', p .. 'held', member) and '1' or ''
        return keeper(PENDING, held)(member, moment, seq)
    end)
end

local function look_at_running()
    local run = call('HGETALL', p .. 'run')
    for n = 1, #run, 2 do
        local _, started, _, _, _, stem = read_claim(run[n + 1])
        if not stem then -- it cannot be read: the job stands last, as one that has run for ever
            started, stem = '0', read_place(p, run[n]) or '0000000000064?'
        end
        local moment, seq = tonumber(started), seq_of(stem)
        if is_after(moment, seq, begin, begin_seq) and (kind == '' or kind == string.sub(stem, 14)) then
            found[#found + 1] = {moment, seq, RUNNING, '', stem .. '\t' .. run[n]}
        end
    end
end

-- Most jobs of a tag may have another status: each list is asked for many at once.
local function walk_tag()
    local running, there = {}, {}
    if string.find(statuses, RUNNING, 1, true) then
        for _, id in ipairs(call('HKEYS', p .. 'run')) do
            running[id] = true
        end
    end
    local function look(rows)
        local members = {}
        for n = 1, #rows, 2 do
            members[#members + 1] = rows[n]
        end
        there = {}
        local function look_in(status, name)
            for n, score in ipairs(call('ZMSCORE', p .. name, unpack(members))) do
                if score then
                    there[members[n]] = {status, name == 'held' and '1' or ''}
                end
            end
        end
        for status in string.gmatch(statuses, '%d') do
            if status == PENDING then
                look_in(status, 'ready')
                look_in(status, 'held')
            elseif status ~= RUNNING then
                look_in(status, LISTS[status])
            end
        end
    end
    walk_list('t:' .. string.sub(tag, 2), look_at, function(member, moment, seq)
        if running[id_of(member)] then
            return keeper(RUNNING, '')(member, moment, seq)
        end
        local place = there[member]
        return place and keeper(place[1], place[2])(member, moment, seq)
    end, look)
end

local function walk_statuses()
    local share = math.ceil(look_at / #statuses)
    for status in string.gmatch(statuses, '%d') do
        if status == PENDING then
            walk_line('ready', '', share)
            walk_line('held', '1', share)
            walk_since(share)
        elseif status == RUNNING then
            look_at_running()
        else
            walk_list(LISTS[status], share, keeper(status, ''))
        end
    end
end

-- When a pending job was due: it may have become so before its time if it was gathered.
local function due_of(held, member)
    local rank = has(p, 'g') and call('ZSCORE', p .. (held == '' and 'ready' or 'held'), member)
    return rank and digits(tonumber(rank) % SPAN)
end

if tag ~= '' then
    walk_tag()
else
    walk_statuses()
end
table.sort(found, function(one, other)
    return is_after(other[1], other[2], one[1], one[2])
end)
local answer = {floor and {digits(floor[1]), digits(floor[2])} or {}}
for n = 1, math.min(limit + 1, #found) do
    local moment, seq, status, held, member = unpack(found[n])
    if held == '1' then
        held = gate_of(p, member) or '1'
    end
    if floor and is_after(moment, seq, floor[1], floor[2]) then
        break
    end
    local id = id_of(member)
    local record = call('GET', p .. 'j:' .. id)
    if record then -- else it was deleted by somebody else, or evicted
        answer[#answer + 1] = {
            digits(moment), digits(seq), status, held, member,
            status == RUNNING and call('HGET', p .. 'run', id) or status == PENDING and due_of(held, member) or '', record,
        }
    end
end
return answer
