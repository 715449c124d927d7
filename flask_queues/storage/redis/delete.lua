-- Delete jobs that are not running.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; number of jobs; of each its id, its stem as it was read, the status that it must have or
-- nothing, number of tags, tags.
-- Returns of each the status that it had, or nothing where it is another or gone.

local p = arg()
local answer = {}
for n = 1, tonumber(arg()) do
    local id, stem, wanted, tags = arg(), arg(), arg(), {}
    for m = 1, tonumber(arg()) do
        tags[m] = arg()
    end
    local status, list = nil, nil
    if (read_place(p, id) or stem) == stem then -- a record that is gone leaves its place on a list
        status, list = where(p, stem, id)
    end
    if list and (wanted == '' or wanted == status) then
        take_out(p, list, stem .. '\t' .. id)
        call('DEL', p .. 'j:' .. id, p .. 'l:' .. id, p .. 'k:' .. id)
        call('SREM', p .. 'alone', id)
        free(p, id, 'gone')
        call('HDEL', p .. 'limits', id)
        for _, tag in ipairs(tags) do
            call('ZREM', p .. 't:' .. tag, stem .. '\t' .. id)
        end
        count(p, stem, id, status, nil)
    end
    answer[n] = status or ''
end
return finish(answer)
