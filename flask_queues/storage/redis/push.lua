-- Push jobs.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; whether names of queues are within reach; number of partitions; of each its prefix, its queue's name,
-- how many of its jobs may wait, or nothing, the number of jobs and the jobs.
-- Returns a row a partition: 1 where it had none before, then of each job 1 where it is new, and the id of the
-- one that holds its key where that is another. Or, with nothing stored: `full`, the number of the partition in which
-- too many would wait, how many do, and how many more were to come.

local near = arg() == '1'
local parts = {}
for n = 1, tonumber(arg()) do
    local part = {p = arg(), queue = arg(), bound = arg(), jobs = {}}
    for m = 1, tonumber(arg()) do
        part.jobs[m] = read_job()
    end
    parts[n] = part
end

-- By how many jobs a partition becomes longer: not by one that is stored, nor by one whose key another holds, which
-- waits no more where it is replaced.
local function growth(p, jobs)
    local more, seen = 0, {}
    for _, job in ipairs(jobs) do
        local held = seen[job.id] or call('EXISTS', p .. 'j:' .. job.id) == 1
        if not held and job.unique ~= '' then
            local _, _, _, key = uniques().read(job.unique)
            held = seen['\n' .. key] or uniques().holder(p, key)
            seen['\n' .. key] = true
        end
        if not held then
            more = more + 1
        end
        seen[job.id] = true
    end
    return more
end

for n, part in ipairs(parts) do
    if part.bound ~= '' then
        local more = growth(part.p, part.jobs)
        local waiting = call('ZCARD', part.p .. 'ready') + call('ZCARD', part.p .. 'held') + call('ZCARD', part.p .. 'due')
        if more > 0 and waiting + more > tonumber(part.bound) then
            return {'full', n, waiting, more}
        end
    end
end
local answer = {}
local any = false
for n, part in ipairs(parts) do
    local first = numbers(part.p, #part.jobs)
    local row = {first == 1 and 1 or 0}
    if first == 1 and near then
        call('SADD', root .. 'queues', part.queue)
    end
    for m, job in ipairs(part.jobs) do
        local new, other = store(part.p, job, first + m - 1)
        row[m + 1] = new and 1 or other or 0
        any = any or new
    end
    answer[n] = row
end
if any then
    wake()
end
return finish(answer)
