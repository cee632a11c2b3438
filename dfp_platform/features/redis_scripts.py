"""What has to happen alone in the server: Lua scripts, each over keys that lie on one node of a cluster."""

POINT = """
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if now ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
"""
"""Replace a pointer (branch ARGV[1]) that is still ARGV[2] by ARGV[4], if version ARGV[3] is whole."""

FORGET = """
for _, told in ipairs(redis.call('HVALS', KEYS[1])) do
  local now = cjson.decode(told)
  local before = now['previous']
  if now['version'] == ARGV[1] then return 0 end
  if type(before) == 'table' and before['version'] == ARGV[1] then return 0 end
end
return redis.call('HDEL', KEYS[2], ARGV[1])
"""
"""Forget version ARGV[1] unless a pointer names it, as what is served or was before."""

PUSH = """
local function greater(one, other)
  for place = 1, #one do
    local a, b = one:byte(place), other:byte(place)
    if a ~= b then return b == nil or a > b end
  end
  return false
end
local changed = 0
for place = 2, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[place])
  local newer = true
  if before then
    local at, was = struct.unpack('<i8', ARGV[place + 1]), struct.unpack('<i8', before)
    newer = at > was or (at == was and greater(ARGV[place + 1], before))
  end
  if newer then
    redis.call('HSET', KEYS[1], ARGV[place], ARGV[place + 1])
    changed = changed + 1
  end
end
redis.call('SADD', KEYS[2], ARGV[1])
return changed
"""
"""Keep the newer of pushed values; ARGV: the schema hash, then key and value of each app."""

DROP = """
local gone = 0
for place = 1, #ARGV, 2 do
  local told = redis.call('HGET', KEYS[1], ARGV[place])
  if told and struct.unpack('<i8', told) <= tonumber(ARGV[place + 1]) then
    gone = gone + redis.call('HDEL', KEYS[1], ARGV[place])
  end
end
return gone
"""
"""Forget pushed values that are not newer than the times given; ARGV: key and time of each app."""
