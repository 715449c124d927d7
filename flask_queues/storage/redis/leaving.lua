-- Read what of a queue could leave for another storage, in the order in which it is served.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; limit; characters after which it is enough.
-- Returns a row of id, status, since when, whether it is to be claimed alone, record, log lines, what it keeps, how it is
-- unique, its limits and its stem for each.

local p, limit, enough = arg(), tonumber(arg()), tonumber(arg())
local answer, size = {}, 0

local function add(status, member, since)
    local id = id_of(member)
    local record = call('GET', p .. 'j:' .. id)
    if record and #answer < limit and size < enough then
        local lines = call('LRANGE', p .. 'l:' .. id, 0, -1)
        size = size + #record
        for _, line in ipairs(lines) do
            size = size + #line
        end
        local kept = call('GET', p .. 'k:' .. id) or ''
        size = size + #kept
        answer[#answer + 1] = {
            status, id, since, call('SISMEMBER', p .. 'alone', id), record, lines, kept,
            call('HGET', p .. 'keys', id) or '', call('HGET', p .. 'limits', id) or '', stem_of(member),
        }
    end
end

-- What waits, whether it is held or not: each keeps its place among the others.
local line = {}
for _, name in ipairs({'ready', 'held'}) do
    local found = call('ZRANGE', p .. name, 0, limit - 1, 'WITHSCORES')
    for n = 1, #found, 2 do
        line[#line + 1] = {found[n], tonumber(found[n + 1])}
    end
end
table.sort(line, function(a, b)
    return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1])
end)
for _, one in ipairs(line) do
    add(PENDING, one[1], call('ZSCORE', p .. 'since', one[1]) or digits(one[2] % SPAN))
end
for _, status in ipairs({SCHEDULED, COMPLETED, FAILED, CANCELLED}) do
    local found = call('ZRANGE', p .. LISTS[status], 0, limit - 1, 'WITHSCORES')
    for n = 1, #found, 2 do
        add(status, found[n], digits(tonumber(found[n + 1])))
    end
end
return answer
