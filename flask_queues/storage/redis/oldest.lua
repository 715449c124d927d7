-- Find which of a queue's claimable jobs was due first.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition.
-- Returns when it was due, or nothing.

local p = arg()
local oldest, from = nil, '-inf'
while true do
    local first = call('ZRANGEBYSCORE', p .. 'ready', from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    if not first then
        return oldest and digits(oldest)
    end
    local priority = math.floor(tonumber(first) / SPAN)
    oldest = math.min(oldest or SPAN, tonumber(first) % SPAN)
    from = digits((priority + 1) * SPAN)
end
