-- Read jobs.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; number of ids; the ids.
-- Returns of each a row of status, whether it is held, claim or, of a pending one, when it
-- was due, record and stem, or nothing.

local p = arg()
local answer = {}
for n = 1, tonumber(arg()) do
    local id = arg()
    local stem = read_place(p, id)
    local status, list, score = nil, nil, nil
    if stem then
        status, list, score = where(p, stem, id)
    end
    local claim = status == PENDING and digits(score % SPAN) or call('HGET', p .. 'run', id) or ''
    answer[n] = status and {
        status, list == 'held' and (gate_of(p, stem .. '\t' .. id) or '1') or '', claim, call('GET', p .. 'j:' .. id), stem,
    } or {}
end
return answer
