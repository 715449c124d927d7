-- Take jobs and schedules out of a queue, and keep the load that they make.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the load; number of jobs; of each its id, stem, status and length of the record as they were
-- read, number of tags, tags; number of schedules; of each its name and its revision as it was read.
-- Returns nothing where another load is kept; else the numbers of jobs, then of schedules, that have changed since.
-- With any, nothing was done.

local p, load = arg(), arg()
local jobs, posts = {}, {}
for n = 1, tonumber(arg()) do
    local job = {id = arg(), stem = arg(), status = arg(), length = tonumber(arg()), tags = {}}
    for m = 1, tonumber(arg()) do
        job.tags[m] = arg()
    end
    jobs[n] = job
end
for n = 1, tonumber(arg()) do
    posts[n] = {name = arg(), revision = arg()}
end

if call('EXISTS', p .. 'leaving') == 1 then
    return false
end
local changed, gone = {}, {}
for n, job in ipairs(jobs) do
    local status = nil
    if read_place(p, job.id) == job.stem and call('STRLEN', p .. 'j:' .. job.id) == job.length then
        status, job.list = where(p, job.stem, job.id)
    end
    if status ~= job.status then
        changed[#changed + 1] = n
    end
end
for n, post in ipairs(posts) do
    local stored = call('HGET', p .. 'schedules', post.name)
    if not stored or string.match(stored, '^%d+') ~= post.revision then
        gone[#gone + 1] = n
    end
end
if #changed > 0 or #gone > 0 then
    return {changed, gone}
end

for _, job in ipairs(jobs) do
    local member = job.stem .. '\t' .. job.id
    take_out(p, job.list, member)
    call('DEL', p .. 'j:' .. job.id, p .. 'l:' .. job.id, p .. 'k:' .. job.id)
    call('SREM', p .. 'alone', job.id)
    free(p, job.id, 'gone')
    call('HDEL', p .. 'limits', job.id)
    for _, tag in ipairs(job.tags) do
        call('ZREM', p .. 't:' .. tag, member)
    end
    count(p, job.stem, job.id, job.status, nil)
end
for _, post in ipairs(posts) do
    call('HDEL', p .. 'schedules', post.name)
    call('DEL', p .. 'h:' .. post.name)
    next_revision(p)
end
call('SET', p .. 'leaving', load)
return finish({changed, gone})
