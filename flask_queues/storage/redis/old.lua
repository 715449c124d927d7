-- Find jobs that have been in one of these statuses since before a moment.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; statuses, a digit each; age in ms, 0 for any; limit.
-- Returns a row of status, id and the first two lines of the record for each, of which only the stem is known where the
-- record is gone.

local p, statuses, age, limit = arg(), arg(), tonumber(arg()), tonumber(arg())
local until_then = age > 0 and digits(now - age) or '+inf'
local answer = {}

local function add(status, members, passed)
    for _, member in ipairs(members) do
        if #answer < limit and not (passed and call('ZSCORE', passed, member)) then
            local id = id_of(member)
            local head = call('GETRANGE', p .. 'j:' .. id, 0, 1023)
            if not string.find(head, '\n.*\n') then
                head = call('GET', p .. 'j:' .. id) or ''
            end
            answer[#answer + 1] = {status, id, head_of(head, member)}
        end
    end
end

-- Of each priority, those that were due before the moment.
local function add_line(name)
    local top = '+inf'
    while #answer < limit do
        local last = call('ZREVRANGEBYSCORE', p .. name, top, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
        if #last == 0 then
            return
        end
        local base = math.floor(tonumber(last[2]) / SPAN) * SPAN
        local limits = {digits(base), digits(base + now - age), 'LIMIT', 0, limit * 4}
        add(PENDING, call('ZRANGEBYSCORE', p .. name, unpack(limits)), p .. 'since')
        top = '(' .. digits(base)
    end
end

local function add_pending()
    if age > 0 then
        add(PENDING, call('ZRANGEBYSCORE', p .. 'since', '-inf', until_then, 'LIMIT', 0, limit))
        add_line('ready')
        add_line('held')
    else
        add(PENDING, call('ZRANGE', p .. 'ready', 0, limit - 1))
        add(PENDING, call('ZRANGE', p .. 'held', 0, limit - 1))
    end
end

for status in string.gmatch(statuses, '%d') do
    if status == PENDING then
        add_pending()
    elseif status ~= RUNNING then
        add(status, call('ZRANGEBYSCORE', p .. LISTS[status], '-inf', until_then, 'LIMIT', 0, limit))
    end
end
return answer
