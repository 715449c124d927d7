-- Look what waits.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; types within line ends, or nothing where only the scheduled ones matter.
-- Returns whether one of these types may be claimed, and how long until the first scheduled job is due, -1 for never.

local p, types = arg(), arg()

local function waits()
    for _, window in ipairs({1, 1000}) do
        local members = call('ZRANGE', p .. 'ready', 0, window - 1)
        for _, member in ipairs(members) do
            if string.find(types, '\n' .. type_of(member) .. '\n', 1, true) then
                return 1
            end
        end
        if #members < window then
            return 0
        end
    end
    return 0
end

local first = call('ZRANGE', p .. 'due', 0, 0, 'WITHSCORES')
local left = first[2] and math.max(0, tonumber(first[2]) - now) or -1
return {types ~= '' and waits() or 0, left}
