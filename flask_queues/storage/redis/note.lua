-- Keep progress and log lines of a claimed job.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; id; token; progress or nothing; number of lines; the lines.
-- Returns 1, or 0 where the claim is not in force.

local p, id, token, progress = arg(), arg(), arg(), arg()
local lines = {}
for n = 1, tonumber(arg()) do
    lines[n] = arg()
end

local claim = call('HGET', p .. 'run', id)
if not claim or string.sub(claim, 1, #token + 1) ~= token .. '\t' then
    return 0
end
if progress ~= '' then
    local fields = {read_claim(claim)}
    fields[10] = progress
    call('HSET', p .. 'run', id, table.concat(fields, '\t'))
end
add_logs(p, id, lines)
return 1
