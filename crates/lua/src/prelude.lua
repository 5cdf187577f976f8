-- Runs once in a new state. `raw` is Lua's own library, `host` what Rust adds. Returns the globals that scripts
-- see, the table behind them, and what handles errors, and what
-- makes a world for libraries to load in.
--
-- Tables that scripts must not change are empty proxies in front of the real ones (Lua 5.1 knows no readonly
-- tables), so every function that goes around metamethods is replaced here by one that knows the proxies.
local raw, host = ...
local error, type, select, tostring = raw.error, raw.type, raw.select, raw.tostring
local raw_next, raw_rawget, raw_rawset = raw.next, raw.rawget, raw.rawset
local raw_setmetatable, raw_getmetatable, raw_pairs = raw.setmetatable, raw.getmetatable, raw.pairs
local raw_pcall, raw_xpcall, raw_resume = host.pcall, host.xpcall, raw.coroutine.resume
local raw_insert, raw_getn, raw_collect = raw.table.insert, raw.table.getn, raw.collectgarbage
local floor, ceil = raw.math.floor, raw.math.ceil
local STOP = host.stop
local READONLY = "Attempt to modify a readonly table"

local behind, shown = {}, {}

local function refuse() error(READONLY, 2) end

local function freeze(real, meta)
  local proxy = {}
  behind[proxy] = real
  shown[proxy] = meta
  return raw_setmetatable(proxy, {__index = real, __newindex = refuse})
end

-- As luaL_argerror words it, at the line that called the function.
local function bad(position, name, expected, count, value)
  local got = position > count and "no value" or type(value)
  local detail = expected == "value" and "value expected" or expected .. " expected, got " .. got
  error("bad argument #" .. position .. " to '" .. host.called(name) .. "' (" .. detail .. ")", 3)
end

-- A script that was stopped must stay stopped: what stops it is raised again by whatever catches errors.
local function settle(ok, ...)
  if ok then return true, ... end
  local err = ...
  if err == STOP then error(STOP) end
  return false, err
end

local function settle_text(ok, ...)
  if ok then return true, ... end
  local err = ...
  if err == STOP then error(STOP) end
  if type(err) == "table" then
    local text = err.err
    local kind = type(text)
    if kind == "string" or kind == "number" then err = text end
  end
  return false, err
end

local G = {_VERSION = raw._VERSION, assert = raw.assert, error = error, gcinfo = raw.gcinfo, ipairs = raw.ipairs,
  loadstring = host.loadstring, rawequal = raw.rawequal, select = select,
  tonumber = raw.tonumber, tostring = tostring, type = type, unpack = host.unpack}

function G.pcall(...)
  if select("#", ...) == 0 then return false, "attempt to call a boolean value" end
  return settle_text(raw_pcall(...))
end

function G.xpcall(...)
  local count = select("#", ...)
  if count < 2 then bad(2, "xpcall", "value", count) end
  local f, user = ...
  return settle(raw_xpcall(f, function(err)
    if err == STOP then return err end
    return user(err)
  end))
end

function G.load(...)
  local pieces, name = ...
  if type(pieces) ~= "function" then bad(1, "load", "function", select("#", ...), pieces) end
  if name == nil then name = "=(load)" end
  local all, count, size = {}, 0, 0
  local ok, err = raw_pcall(function()
    while true do
      local piece = pieces()
      if piece == nil then return end
      local kind = type(piece)
      if kind ~= "string" and kind ~= "number" then error("reader function must return a string", 4) end
      piece = tostring(piece)
      if piece == "" then return end
      count, size = count + 1, size + #piece
      all[count] = piece
      if size > host.max_string then error("chunk too large", 0) end
    end
  end)
  if not ok then
    if err == STOP then error(STOP) end
    return nil, err
  end
  return host.compile(raw.table.concat(all), tostring(name))
end

function G.next(...)
  local t, k = ...
  if type(t) ~= "table" then bad(1, "next", "table", select("#", ...), t) end
  return raw_next(behind[t] or t, k)
end

local frozen_next = G.next

function G.pairs(...)
  local t = ...
  if type(t) ~= "table" then bad(1, "pairs", "table", select("#", ...), t) end
  if behind[t] then return frozen_next, t, nil end
  return raw_next, t, nil
end

function G.rawget(...)
  local t, k = ...
  local count = select("#", ...)
  if type(t) ~= "table" then bad(1, "rawget", "table", count, t) end
  if count < 2 then bad(2, "rawget", "value", count) end
  return raw_rawget(behind[t] or t, k)
end

function G.rawset(...)
  local t, k, v = ...
  local count = select("#", ...)
  if type(t) ~= "table" then bad(1, "rawset", "table", count, t) end
  if count < 2 then bad(2, "rawset", "value", count) end
  if count < 3 then bad(3, "rawset", "value", count) end
  if behind[t] then error(READONLY, 0) end
  return raw_rawset(t, k, v)
end

function G.getmetatable(...)
  local t = ...
  if select("#", ...) == 0 then bad(1, "getmetatable", "value", 0) end
  if behind[t] then return shown[t] end
  return raw_getmetatable(t)
end

function G.setmetatable(...)
  local t, m = ...
  local count = select("#", ...)
  if type(t) ~= "table" then bad(1, "setmetatable", "table", count, t) end
  if count < 2 or (m ~= nil and type(m) ~= "table") then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  if behind[t] then error(READONLY, 0) end
  local old = raw_getmetatable(t)
  if type(old) == "table" and raw_rawget(old, "__metatable") ~= nil or old ~= nil and type(old) ~= "table" then
    error("cannot change a protected metatable", 2)
  end
  return raw_setmetatable(t, m)
end

-- Scripts may look and collect; the pace of the collector is the engine's.
function G.collectgarbage(...)
  local what = ...
  if what == nil or what == "collect" or what == "count" or what == "step" then return raw_collect(what) end
  if what == "setpause" or what == "setstepmul" then return 200 end
  if what == "stop" or what == "restart" then return 0 end
  local kind = type(what)
  if kind ~= "string" and kind ~= "number" then bad(1, "collectgarbage", "string", 1, what) end
  error("bad argument #1 to '" .. host.called("collectgarbage", true) .. "' (invalid option '" .. what .. "')", 2)
end

local function copy(from)
  local to = {}
  for k, v in raw_pairs(from) do to[k] = v end
  return to
end

local coroutines = copy(raw.coroutine)
function coroutines.resume(...) return settle(raw_resume(...)) end
G.coroutine = freeze(coroutines)

-- A place in a list as C cuts it to an int.
local function int(n)
  n = raw.tonumber(n)
  if n ~= n or n < -2^53 or n > 2^53 then return 0 end
  n = n < 0 and ceil(n) or floor(n)
  return (n + 2^31) % 2^32 - 2^31
end

local tables = copy(raw.table)
function tables.insert(...)
  local t, a, b = ...
  local count = select("#", ...)
  if type(t) ~= "table" then bad(1, "insert", "table", count, t) end
  if behind[t] then error(READONLY, 0) end
  if count == 2 then return raw_insert(t, a) end
  if count ~= 3 then error("wrong number of arguments to 'insert'", 2) end
  if type(a) ~= "number" and not raw.tonumber(a) then bad(2, "insert", "number", count, a) end
  local place, last = int(a), raw_getn(t) + 1
  if last - place < 1000 then return raw_insert(t, a, b) end
  -- What moves very many stays in Lua, where it can be stopped.
  for i = last, place + 1, -1 do raw_rawset(t, i, raw_rawget(t, i - 1)) end
  raw_rawset(t, place, b)
end
G.table = freeze(tables)

local maths = copy(raw.math)
maths.random, maths.randomseed = host.random, host.randomseed
G.math = freeze(maths)

-- Sorting many without a function of the script's would stay inside C, where nothing stops it.
local raw_sort = raw.table.sort
function tables.sort(...)
  local t, less = ...
  if type(t) ~= "table" then bad(1, "sort", "table", select("#", ...), t) end
  if behind[t] then error(READONLY, 0) end
  if less == nil and raw_getn(t) > 1000 then return raw_sort(t, function(a, b) return a < b end) end
  local ok, err = raw_pcall(raw_sort, t, less)
  if ok then return end
  if err == "invalid order function for sorting" then error(err, 2) end
  error(err, 0)
end

-- The real table stays behind the metatable of strings, so that ("x"):upper() costs no detour.
local strings = raw.string
strings.rep, strings.find, strings.match = host.rep, host.find, host.match

local raw_gsub, search, sub = host.gsub, host.search, strings.sub

local function text(value, position, name, count)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    local got = position > count and "no value" or kind
    error("bad argument #" .. position .. " to '" .. host.called(name) .. "' (string expected, got " .. got .. ")", 3)
  end
  return tostring(value)
end

function strings.gmatch(...)
  local s, p = ...
  local count = select("#", ...)
  s, p = text(s, 1, "gmatch", count), text(p, 2, "gmatch", count)
  local at = 0
  local function step(from, to, ...)
    if not from then return nil end
    -- An empty match goes one further.
    at = to == from and to + 1 or to
    return ...
  end
  return function() return step(search(s, p, at)) end
end
strings.gfind = strings.gmatch

-- With a function, or a table that has a metatable: those run Lua code between matches.
local function gsub_by(s, p, by, most)
  local anchored = sub(p, 1, 1) == "^" or nil
  if anchored then p = sub(p, 2) end
  local parts, n, at, count, length = {}, 0, 0, 0, #s
  -- Above stand step, gsub_by, gsub, and then the script.
  local function value(whole, ...)
    local found
    if type(by) == "function" then found = by(...) else found = by[(...)] end
    if not found then return whole end
    local kind = type(found)
    if kind ~= "string" and kind ~= "number" then
      error("invalid replacement value (a " .. kind .. ")", 5)
    end
    return found
  end
  local function step(from, to, ...)
    if not from then return false end
    count = count + 1
    if from > at then n = n + 1 parts[n] = sub(s, at + 1, from) end
    n = n + 1
    parts[n] = value(sub(s, from + 1, to), ...)
    at = to
    if to == from then
      if to < length then n = n + 1 parts[n] = sub(s, to + 1, to + 1) end
      at = to + 1
    end
    return true
  end
  while count < most and at <= length do
    if anchored then
      step(search(s, p, at, true))
      break
    elseif not step(search(s, p, at)) then
      break
    end
  end
  if at < length then n = n + 1 parts[n] = sub(s, at + 1) end
  return raw.table.concat(parts), count
end

function strings.gsub(...)
  local s, p, by, most = ...
  local kind = type(by)
  if kind ~= "function" and (kind ~= "table" or not raw_getmetatable(by)) then return raw_gsub(...) end
  local count = select("#", ...)
  s, p = text(s, 1, "gsub", count), text(p, 2, "gsub", count)
  if most == nil then
    most = #s + 1
  else
    local given = raw.tonumber(most)
    if not given then
      local refused = raw_gsub(s, p, "", most)
      return refused
    end
    most = given
  end
  local result, n = gsub_by(s, p, by, most)
  return result, n
end
G.string = freeze(strings)
raw_getmetatable("").__metatable = freeze({__index = G.string})

local redis = host.redis
G.redis = freeze(redis)
if host.valkey then G.server = G.redis end
for _, name in raw.ipairs({"cjson", "cmsgpack", "struct", "bit", "os"}) do
  local library = raw_rawget(host, name)
  if library then G[name] = freeze(library) end
end

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
raw_setmetatable(G, {__index = missing})
local globals = freeze(G, freeze({__index = missing}))
G._G = globals

-- A library that is being loaded sees a table with little more than register_function.
local open = raw_getmetatable(globals)
local load_redis = freeze(raw_setmetatable(host.load_redis, {__index = missing}))
local load_globals = raw_setmetatable({redis = load_redis}, {__index = missing})
if host.valkey then load_globals.server = load_redis end

local function loading(on)
  if on then open.__index = load_globals else open.__index = G end
end

-- Sees an error that nobody caught, before its frames are gone.
local function handler(err)
  if err == STOP then return host.note("") end
  local line
  if type(err) == "table" then
    line = err.err
    local kind = type(line)
    -- A server of 7.0.15 dies of this.
    if kind ~= "string" and kind ~= "number" then line = "ERR unknown error" end
  else
    line = "ERR " .. tostring(err)
  end
  host.note(line)
end

return globals, G, handler, loading
