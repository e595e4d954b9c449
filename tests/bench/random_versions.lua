-- For wrk: asks for the given path again and again. VERSION in it becomes a random version out of as many as
-- there are, numbered as in rows_million.py; in `~0.VERSION` a minor number that both workloads have.
local path, count

function init(arguments)
  path, count = arguments[1], tonumber(arguments[2])
  math.randomseed(1)
end

function request()
  local version
  if path:find("~0.VERSION", 1, true) then
    version = tostring(math.random(0, 9))
  else
    local i = math.random(1, count)
    version = string.format("%d.%d.%d", math.floor(i / 10000), math.floor(i / 100) % 100, i % 100)
  end
  return wrk.format("GET", (path:gsub("VERSION", version)))
end
