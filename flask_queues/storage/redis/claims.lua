-- Read the claims of a child, or those whose lease has run out; drop those of them whose record is gone.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; `queue` where a record that is missed may be on its way to another node; the child, or nothing
-- for those that have run out.
-- Returns a row of id, claim and record for each; then the ids of those that were dropped.

local p, reach, worker = arg(), arg(), arg()

local answer, gone, unread = {}, {}, {}
local run = call('HGETALL', p .. 'run')
for n = 1, #run, 2 do
    local id, claim = run[n], run[n + 1]
    local _, _, lease, _, _, _, by = read_claim(claim)
    if not by then
        unread[#unread + 1] = id
    elseif by == worker or (worker == '' and tonumber(lease) < now) then
        local record = call('GET', p .. 'j:' .. id)
        if record then
            answer[#answer + 1] = {id, claim, record}
        else
            gone[#gone + 1] = id
        end
    end
end
if #gone > 0 and reach == 'queue' then
    return not_here()
end
for _, id in ipairs(gone) do
    local claim = call('HGET', p .. 'run', id)
    local _, _, _, _, _, stem = read_claim(claim)
    drop_claim(p, id, stem, claim)
end
if worker == '' then
    for _, id in ipairs(unread) do -- it is nobody's: written anew, so that the next look finds that its lease has run out
        local stem = read_place(p, id)
        if stem then
            call('HSET', p .. 'run', id, write_claim('0', moment, '0', '1', moment, stem, '', '', '', ''))
        end
    end
end
return finish({answer, gone})
