-- Read the claims of a child, or those whose lease has run out.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the child, or nothing for those that have run out.
-- Returns a row of id, claim and record for each.

local p, worker = arg(), arg()

local answer = {}
local run = call('HGETALL', p .. 'run')
for n = 1, #run, 2 do
    local _, _, lease, _, _, _, by = read_claim(run[n + 1])
    if by == worker or (worker == '' and tonumber(lease) < now) then
        answer[#answer + 1] = {run[n], run[n + 1], call('GET', p .. 'j:' .. run[n])}
    end
end
return answer
