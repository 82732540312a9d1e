-- Pushes all frames of one message to a list, if there is room, and lengthens the life of the list.
-- KEYS[1]: the list. ARGV[1]: its life in seconds. ARGV[2]: how many frames it may hold. ARGV[3...]: the frames.
if redis.call('llen', KEYS[1]) >= tonumber(ARGV[2]) then
    return redis.error_reply('queue full')
end
local length = 0
for i = 3, #ARGV do
    length = redis.call('rpush', KEYS[1], ARGV[i])
end
if redis.call('ttl', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('expire', KEYS[1], ARGV[1])
end
return length
