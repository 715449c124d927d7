-- Forget queues that hold nothing any more: their names, where they are within reach, and what an empty one keeps.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; whether names of queues are within reach; number of structures, those of which any makes a queue worth
-- keeping; of each queue its partition and its name.
-- Returns the names of those that were forgotten.

local near = arg() == '1'
local structures = {}
for n = 1, tonumber(arg()) do
    structures[n] = arg()
end

local function holds_something(p)
    local keys = {}
    for n, name in ipairs(structures) do
        keys[n] = p .. name
    end
    return call('EXISTS', unpack(keys)) > 0
end

-- Numbers and tokens begin anew without harm: the one where no job is left, the others by the clock.
local RENEWED = {seq = true, token = true, revision = true, traits = true}

local function says_more(p)
    for _, field in ipairs(call('HKEYS', p .. 'meta')) do
        if not RENEWED[field] then
            return true
        end
    end
    return false
end

local answer = {}
while cursor < #ARGV do
    local p, queue = arg(), arg()
    if not near then
        call('ZREMRANGEBYSCORE', p .. 'arrived', '-inf', now - ARRIVED_FOR)
    end
    if not holds_something(p) and not says_more(p) then
        call('DEL', p .. 'meta', p .. 'counts')
        if near then
            call('SREM', root .. 'queues', queue)
        end
        answer[#answer + 1] = queue
    end
end
return answer
