-- Stop a queue or one job type of it, or end that.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; its queue's name; whether names of queues are within reach; the type, or nothing for all;
-- `stop` or `go`; for how long, or nothing; who; why.
-- Returns whether a stop was in force before.

local p, queue, near, kind, what, lasts, by, reason = arg(), arg(), arg() == '1', arg(), arg(), arg(), arg(), arg()

local there = call('HGET', p .. 'stops', kind)
local before = is_stopped(there)
if what == 'stop' then
    if near then
        call('SADD', root .. 'queues', queue)
    end
    local til = lasts ~= '' and digits(now + tonumber(lasts)) or ''
    note_trait(p, 's')
    call('HSET', p .. 'stops', kind, write_stop(til, moment, by, reason))
elseif there then
    call('HDEL', p .. 'stops', kind)
    if kind ~= '' then
        release(p, '\n' .. kind .. '\n')
    end
end
wake()
return before and 1 or 0
