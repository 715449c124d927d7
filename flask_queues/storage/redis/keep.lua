-- Keep a text of a claimed job for its next run.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; id; token; the text.
-- Returns 1, or 0 where the claim is not in force.

local p, id, token, text = arg(), arg(), arg(), arg()
local claim = call('HGET', p .. 'run', id)
if not claim or string.sub(claim, 1, #token + 1) ~= token .. '\t' then
    return 0
end
call('SET', p .. 'k:' .. id, text)
return 1
