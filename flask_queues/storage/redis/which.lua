-- Find out which queues hold something.
-- KEYS: none: names of keys are computed, so that it runs where every queue is in reach.
-- ARGV: root; an age in ms, or nothing; structures that would hold it. With an age they are lists, and something in them
-- must have been there for so long.
-- Returns their names.

local age = arg()
local until_then = age ~= '' and digits(now - tonumber(age))
local structures = {unpack(ARGV, cursor + 1)}

local function holds(p)
    for _, name in ipairs(structures) do
        if until_then then
            if #call('ZRANGEBYSCORE', p .. name, '-inf', until_then, 'LIMIT', '0', '1') > 0 then
                return true
            end
        elseif call('EXISTS', p .. name) == 1 then
            return true
        end
    end
    return false
end

local answer = {}
for _, queue in ipairs(call('SMEMBERS', root .. 'queues')) do
    if holds(partition_of(queue)) then
        answer[#answer + 1] = queue
    end
end
return answer
