-- temp
local function decide(key, now, p, cost, peek) end
