-- For wrk: asks for the given path again and again. A `#` in it becomes a random version out of as many as there
-- are, numbered as in rows_million.py; after `~0.` it becomes a minor and patch number that exist in both workloads.
local path, count

function init(arguments)
  path, count = arguments[1], tonumber(arguments[2])
  math.randomseed(1)
end

function request()
  local asked = path
  if path:find("~0.#", 1, true) then
    asked = path:gsub("#", tostring(math.random(0, 9)))
  elseif path:find("#", 1, true) then
    local i = math.random(1, count)
    asked = path:gsub("#", string.format("%d.%d.%d", math.floor(i / 10000), math.floor(i / 100) % 100, i % 100))
  end
  return wrk.format("GET", asked)
end
