-- Read the last revision of each queue that ever had a schedule.
-- KEYS: none: names of keys are computed, so that it runs where every queue is in reach.
-- ARGV: root.
-- Returns the revisions.

local answer = {}
for _, queue in ipairs(call('SMEMBERS', root .. 'queues')) do
    answer[#answer + 1] = call('HGET', partition_of(queue) .. 'meta', 'revision') or nil
end
return answer
