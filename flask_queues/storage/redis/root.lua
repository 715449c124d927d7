-- Find out whose keys these are, and make them ours where they are nobody's; keep a worker's description.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; format; the application's name; a worker's name or nothing; what it says of itself.
-- Returns the stored format and name, now, the server's version where it tells (from 7 on), and since when the keys are
-- ours, where a worker has noted it: later than before means that they were all deleted meanwhile.

-- A command that is not allowed must not come to light in the middle of a transition: try all of them here.
local function probe(...)
    local answer = redis.pcall(...)
    local said = type(answer) == 'table' and answer.err or ''
    if string.find(said, 'NOPERM', 1, true) or string.find(said, "executing the script can't", 1, true) then
        return answer
    end
    return nil
end

local function first_forbidden()
    local key = root .. 'probe'
    for _, command in ipairs({
        {'SET', key, ''}, {'APPEND', key, ''}, {'GETRANGE', key, 0, 0}, {'STRLEN', key}, {'DEL', key},
        {'ZADD', key, 0, ''}, {'ZSCORE', key, ''}, {'ZCOUNT', key, 0, 0}, {'ZRANGEBYSCORE', key, 0, 0},
        {'ZREVRANGE', key, 0, 0}, {'ZRANGEBYLEX', key, '-', '+'}, {'ZLEXCOUNT', key, '-', '+'}, {'ZREM', key, ''}, {'HSET', key, '', ''}, {'HINCRBY', key, 'n', 1},
        {'HGETALL', key}, {'HKEYS', key}, {'HDEL', key, '', 'n'}, {'SADD', key, ''}, {'SMEMBERS', key},
        {'SREM', key, ''}, {'EXISTS', key}, {'ZREMRANGEBYSCORE', key, 1, 0},
        {'RPUSH', key, ''}, {'LRANGE', key, 0, 0}, {'LTRIM', key, 1, 0}, {'RENAME', key, key},
        {'PUBLISH', root .. 'wake', ''},
    }) do
        local forbidden = probe(unpack(command))
        if forbidden then
            call('DEL', key)
            return forbidden
        end
    end
    return nil
end

local format, owner, worker, about = arg(), arg(), arg(), arg()
local meta = root .. 'meta'
local forbidden = worker == '' and first_forbidden()
if forbidden then
    return forbidden
end

local stored = call('HMGET', meta, 'format', 'owner')
if not stored[1] then
    call('HSETNX', meta, 'format', format)
    call('HSETNX', meta, 'owner', owner)
    stored = call('HMGET', meta, 'format', 'owner')
end
if stored[1] == format and stored[2] == owner and worker ~= '' then
    call('HDEL', root .. 'workers', worker) -- of a script, a full server refuses only a first write that needs memory
    call('HSET', root .. 'workers', worker, digits(now) .. '\t' .. about)
    call('HSETNX', meta, 'since', moment)
end
return {stored[1], stored[2], digits(now), redis.REDIS_VERSION or '', call('HGET', meta, 'since') or ''}
