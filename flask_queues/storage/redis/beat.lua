-- Extend the claims of a worker's children.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; lease; number of children; their names.
-- Returns a row of id, claim and, where somebody asked to cancel it, record for each claim.

local p, lease = arg(), tonumber(arg())
local mine = {}
for _ = 1, tonumber(arg()) do
    mine[arg()] = true
end

local answer = {}
local run = call('HGETALL', p .. 'run')
for n = 1, #run, 2 do
    local fields = {read_claim(run[n + 1])}
    if mine[fields[7]] then
        fields[3] = digits(now + lease)
        local claim = table.concat(fields, '\t')
        local record = fields[9] ~= '' and call('GET', p .. 'j:' .. run[n]) or nil
        call('HDEL', p .. 'run', run[n]) -- of a script, a full server refuses only a first write that needs memory
        call('HSET', p .. 'run', run[n], claim)
        answer[#answer + 1] = {run[n], claim, record}
    end
end
return answer
