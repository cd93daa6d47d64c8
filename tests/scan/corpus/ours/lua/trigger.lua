local http = require("socket.http")
local base = "https://api.sourcecraft.tech"
local answer = http.request(base .. "/" .. org .. "/" .. repo .. "/ci_workflows/" .. name .. "/trigger", "{}")
local run = cjson.decode(answer).flux_public_id
