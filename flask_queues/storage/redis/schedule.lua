-- Store or delete a schedule whose revision is still the one given, and push what goes with the change.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; its queue's name; whether names of queues are within reach; name; revision; text, with `t`
-- before it, or nothing to delete it; whether an answer was lost before; number of jobs; the jobs; number of
-- occurrences; their texts, before which the time of the decision is put.
-- Returns the new revision, or 0 where another is stored.

local p, queue, near, name = arg(), arg(), arg() == '1', arg()
local revision, about, again = arg(), arg(), arg() == '1'
local jobs = {}
for n = 1, tonumber(arg()) do
    jobs[n] = read_job()
end
local history = p .. 'h:' .. name

local stored = call('HGET', p .. 'schedules', name)
local current, earlier, text = '0', nil, nil
if stored then
    current, earlier, text = string.match(stored, '^(%d+)\t(%d+)\t(.*)$')
end
if current ~= revision then
    if again and earlier == revision and about == 't' .. text then
        return current
    end
    return '0'
end
if not stored and about == '' then
    return '0'
end
if call('HEXISTS', p .. 'meta', 'revision') == 0 and near then
    call('SADD', root .. 'queues', queue)
end
local new = next_revision(p)
wake()
if about == '' then
    call('HDEL', p .. 'schedules', name)
    call('DEL', history)
    return new
end
call('HSET', p .. 'schedules', name, new .. '\t' .. revision .. '\t' .. string.sub(about, 2))
local first = #jobs > 0 and numbers(p, #jobs) or 0
for n, job in ipairs(jobs) do
    store(p, job, first + n - 1)
end
for _ = 1, tonumber(arg()) do
    call('RPUSH', history, digits(now) .. '\t' .. arg())
end
call('LTRIM', history, -100, -1)
return finish(new)
