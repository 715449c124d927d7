-- Look which jobs of a queue came to their end within a time, and read some of them.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; since and before when; how many to read, about.
-- Returns for how many each that was read stands; how many there are, by status and type in turn with the number; a row
-- of status, id and record for each that was read.

local p, since, til, sample = arg(), arg(), arg(), tonumber(arg())
local found, numbers_of = {}, {}
for _, status in ipairs({COMPLETED, FAILED, CANCELLED}) do
    for _, member in ipairs(call('ZRANGEBYSCORE', p .. LISTS[status], since, '(' .. til)) do
        local field = status .. type_of(member)
        numbers_of[field] = (numbers_of[field] or 0) + 1
        found[#found + 1] = {status, id_of(member)}
    end
end
local every = math.max(1, math.ceil(#found / sample))
local fields, rows = {}, {}
for field, n in pairs(numbers_of) do
    fields[#fields + 1] = field
    fields[#fields + 1] = n
end
for n = 1, #found, every do
    local record = call('GET', p .. 'j:' .. found[n][2])
    if record then
        rows[#rows + 1] = {found[n][1], found[n][2], record}
    end
end
return {every, fields, rows}
