-- Find out how far down their line jobs stand.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the ids.
-- Returns for each how many stand before it, or -1 where it does not stand there.

local p = arg()
local answer = {}
for n = cursor + 1, #ARGV do
    local stem = read_place(p, ARGV[n])
    answer[#answer + 1] = stem and call('ZRANK', p .. 'ready', stem .. '\t' .. ARGV[n]) or -1
end
return answer
