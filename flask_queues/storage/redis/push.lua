-- Push jobs.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; whether names of queues are within reach; number of partitions; of each its prefix, its queue's name,
-- the number of jobs and the jobs.
-- Returns a row a partition: 1 where it had none before, then of each job 1 where it is new, and the id of the
-- one that holds its key where that is another.

local near = arg() == '1'
local answer = {}
local any = false
for n = 1, tonumber(arg()) do
    local p, queue, size = arg(), arg(), tonumber(arg())
    local first = numbers(p, size)
    local row = {first == 1 and 1 or 0}
    if first == 1 and near then
        call('SADD', root .. 'queues', queue)
    end
    for m = 1, size do
        local new, other = store(p, read_job(), first + m - 1)
        row[m + 1] = new and 1 or other or 0
        any = any or new
    end
    answer[n] = row
end
if any then
    wake()
end
return finish(answer)
