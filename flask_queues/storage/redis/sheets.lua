-- Keep texts under names, or delete them, if one of them still says what was seen of it.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; the name that was looked at, whether it was there, what it said; number of texts; of each its name, whether
-- it is to be there, its text.
-- Returns 1, or 0 where it says something else by now.

local key = root .. 'figures'
local name, there, said = arg(), arg() == '1', arg()
if call('HGET', key, name) ~= (there and said) then
    return 0
end
for _ = 1, tonumber(arg()) do
    local changed, stays, text = arg(), arg() == '1', arg()
    if stays then
        call('HSET', key, changed, text)
    else
        call('HDEL', key, changed)
    end
end
return 1
