-- Put held jobs of types back into their line.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the types, within line ends.
-- Returns how many, 500 at most.

local p, types = arg(), arg()

local released = 0
for start = 0, 9000, 1000 do
    local members = call('ZRANGE', p .. 'held', start - released, start - released + 999)
    for _, member in ipairs(members) do
        if released < 500 and string.find(types, '\n' .. type_of(member) .. '\n', 1, true) then
            local rank = call('ZSCORE', p .. 'held', member)
            call('ZREM', p .. 'held', member)
            call('ZADD', p .. 'ready', rank, member)
            released = released + 1
        end
    end
    if #members < 1000 or released == 500 then
        break
    end
end
if released > 0 then
    wake()
end
return released
