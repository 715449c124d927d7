-- Look what waits.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; types within line ends, or nothing where only the scheduled ones matter.
-- Returns whether one of these types may be claimed, and how long until the first scheduled job is due or the first
-- stop ends, -1 for never.

local p, types = arg(), arg()
local stopped, asleep = read_stops(p)

local function waits()
    if stopped then
        return 0
    end
    for _, window in ipairs({1, 1000}) do
        local members = call('ZRANGE', p .. 'ready', 0, window - 1)
        for _, member in ipairs(members) do
            local kind = type_of(member)
            if string.find(types, '\n' .. kind .. '\n', 1, true) and not (asleep and asleep[kind]) then
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
if stopped or asleep then
    local stops = call('HGETALL', p .. 'stops')
    for n = 2, #stops, 2 do
        local til = tonumber(string.match(stops[n], '^%d+'))
        if til and til > now and (left < 0 or til - now < left) then
            left = til - now
        end
    end
end
local gate = call('ZRANGE', p .. 'opens', 0, 0, 'WITHSCORES')[2]
if gate and (left < 0 or tonumber(gate) - now < left) then
    left = math.max(0, tonumber(gate) - now)
end
return {types ~= '' and waits() or 0, left}
