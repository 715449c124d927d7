-- Find out whose keys these are, and make them ours where they are nobody's; keep a worker's description.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; format; the application's name; a worker's name or nothing; what it says of itself.
-- Returns the stored format and name, and now.

local format, owner, worker, about = arg(), arg(), arg(), arg()
local meta = root .. 'meta'

if call('HSETNX', meta, 'format', format) == 1 then
    call('HSETNX', meta, 'owner', owner)
end
local stored = call('HMGET', meta, 'format', 'owner')
if stored[1] == format and stored[2] == owner and worker ~= '' then
    call('HSET', root .. 'workers', worker, digits(now) .. '\t' .. about)
end
return {stored[1], stored[2], digits(now)}
