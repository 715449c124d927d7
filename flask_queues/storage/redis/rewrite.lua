-- Put other texts in the place of those that are stored of a job, each where it is still as it was read.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; id; before and after of its record, its claim and what it keeps, nothing where there is none;
-- number of lines of its log; of each its place, before and after.
-- Returns how many were changed.

local p, id = arg(), arg()
local old_record, record, old_claim, claim, old_kept, kept = arg(), arg(), arg(), arg(), arg(), arg()
local key, log, keep = p .. 'j:' .. id, p .. 'l:' .. id, p .. 'k:' .. id
local same_record = record ~= old_record and call('GET', key) == old_record
local same_claim = claim ~= old_claim and call('HGET', p .. 'run', id) == old_claim
local same_kept = kept ~= old_kept and call('GET', keep) == old_kept
local lines = {}
for _ = 1, tonumber(arg()) do
    local place, before, after = arg(), arg(), arg()
    if call('LINDEX', log, place) == before then
        lines[#lines + 1] = {place, after}
    end
end

local changed = #lines
for _, line in ipairs(lines) do
    call('LSET', log, line[1], line[2])
end
if same_record then
    call('SET', key, record)
    changed = changed + 1
end
if same_claim then
    call('HSET', p .. 'run', id, claim)
    changed = changed + 1
end
if same_kept then
    call('SET', keep, kept)
    changed = changed + 1
end
return changed
