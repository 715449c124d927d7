-- Find jobs of one type that ended first in one of the final statuses.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; status, a digit; type; age in ms, 0 for any; how many of the type stay; limit; how many jobs to
-- look at; the moment and member behind which the look begins, since all before are of other types.
-- Returns the moment and member behind which the next look may begin, and 1 where this one came to the last job that is
-- old enough; then id and the first two lines of the record of each, of which only the stem is known where the record
-- is gone.

local p, status, kind, age = arg(), arg(), arg(), tonumber(arg())
local spare, limit, look_at = tonumber(arg()), tonumber(arg()), tonumber(arg())
local from, behind = arg(), arg()
local list = p .. LISTS[status]
local until_then = age > 0 and now - age or math.huge
local most = math.min(limit, tonumber(call('HGET', p .. 'counts', kind .. '\t' .. status) or 0) - spare)
local answer = {{from, behind, 1}}

local function add(member)
    local id = id_of(member)
    local head = call('GETRANGE', p .. 'j:' .. id, 0, 1023)
    if not string.find(head, '\n.*\n') then
        head = call('GET', p .. 'j:' .. id) or ''
    end
    answer[#answer + 1] = {id, head_of(head, member)}
end

local function look()
    local rank = behind ~= '' and call('ZRANK', list, behind)
    local at = rank and rank + 1 or (from ~= '' and call('ZCOUNT', list, '-inf', '(' .. from) or 0)
    local last = at + look_at
    while at < last do
        local rows = call('ZRANGE', list, at, math.min(at + 499, last - 1), 'WITHSCORES')
        for n = 1, #rows, 2 do
            if tonumber(rows[n + 1]) > until_then or #answer > most then
                return
            end
            if type_of(rows[n]) == kind then
                add(rows[n])
            elseif #answer == 1 then
                answer[1] = {rows[n + 1], rows[n], 1}
            end
        end
        if #rows < 1000 then
            return
        end
        at = at + 500
    end
    answer[1][3] = 0
end

if most > 0 then
    look()
end
return answer
