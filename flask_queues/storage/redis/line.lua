-- Read on in a partition's line, or in what is held back of it.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; `ready` or `held`; how many jobs; the rank and number of the push after which they begin, or
-- nothing.
-- Returns the rank and number of the last job if there are more, or nothing; then a row of rank, number, status, what
-- holds it back, member, when it was due, and record for each job.

local p, name, limit = arg(), arg(), tonumber(arg())
local rank, number = arg(), tonumber(arg())
local key = p .. name

-- The index of the first that comes after where it begins; those of one rank lie by the numbers of their pushes.
local function first_index()
    if rank == '' then
        return 0
    end
    local low = call('ZCOUNT', key, '-inf', '(' .. rank)
    return index_behind('ZRANGE', key, low, call('ZCOUNT', key, rank, rank), number)
end

local index = first_index()
local rows = call('ZRANGE', key, index, index + limit, 'WITHSCORES')
local last = math.min(#rows, 2 * limit) - 1
local answer = {#rows > 2 * limit and {digits(tonumber(rows[last + 1])), digits(seq_of(rows[last]))} or {}}
for n = 1, last, 2 do
    local member, score = rows[n], tonumber(rows[n + 1])
    local record = call('GET', p .. 'j:' .. id_of(member))
    if record then -- else it was deleted by somebody else, or evicted
        answer[#answer + 1] = {
            digits(score), digits(seq_of(member)), PENDING, name == 'held' and (gate_of(p, member) or '1') or '', member,
            digits(score % SPAN), record,
        }
    end
end
return answer
