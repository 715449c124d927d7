-- Write anew what the push said of a job: its payload, unless it runs, or its options.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; id; the lines of its record that a push writes, as they were read; the lines to write instead;
-- how often its options were changed with that, nothing where they stay.
-- Returns the status it had, `changed` where the record has other lines by now, or nothing.

local p, id, seen, lines, changes = arg(), arg(), arg(), arg(), arg()
local stem = read_place(p, id)
if not stem then
    return false
end
local status = where(p, stem, id)
if not status then
    return not_here()
end
if status == RUNNING and changes == '' then
    return status
end
local record = call('GET', p .. 'j:' .. id)
local place = string.find(record, '\n', 1, true)
local function stands(text)
    local after = string.sub(record, place + 1 + #text, place + 1 + #text)
    return string.sub(record, place + 1, place + #text) == text and (after == '' or after == '\n')
end
if stands(lines) then
    return status
end
if not stands(seen) then
    return 'changed'
end
call('SET', p .. 'j:' .. id, string.sub(record, 1, place) .. lines .. string.sub(record, place + 1 + #seen))
if changes ~= '' then
    note_changes(p, id, changes)
end
return status
