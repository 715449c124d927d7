-- Set jobs of types aside that no worker knows.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the types, within line ends.
-- Returns how many.

local p, types = arg(), arg()

local held = 0
for _, member in ipairs(call('ZRANGE', p .. 'ready', 0, 999)) do
    if string.find(types, '\n' .. type_of(member) .. '\n', 1, true) then
        local rank = call('ZSCORE', p .. 'ready', member)
        call('ZREM', p .. 'ready', member)
        call('ZADD', p .. 'held', rank, member)
        held = held + 1
    end
end
return held
