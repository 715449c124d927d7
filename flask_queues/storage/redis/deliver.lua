-- Push a job that another partition's `out` held, once.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the job.
-- Returns 1 where it is new.

local p, job = arg(), read_job()

call('ZREMRANGEBYSCORE', p .. 'arrived', '-inf', now - ARRIVED_FOR)
if call('ZADD', p .. 'arrived', 'NX', now, job.id) == 0 then
    return 0
end
if store(p, job, numbers(p, 1)) then
    wake()
    return finish(1)
end
return 0
