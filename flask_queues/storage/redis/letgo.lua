-- Forget the load that has arrived.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; number of the load.
-- Returns 1 where it was kept here.

local p, number = arg(), arg()
local kept = call('GETRANGE', p .. 'leaving', 0, #number)
if kept ~= number .. '\t' then
    return 0
end
return call('DEL', p .. 'leaving')
