-- Runs once in a new state. `raw` is Lua's own library, `host` what Rust adds. Returns the globals that scripts
-- see, and the table behind them.
--
-- Tables that scripts must not change are empty proxies in front of the real ones (Lua 5.1 knows no readonly
-- tables), so every function that goes around metamethods is replaced here by one that knows the proxies.
local raw, host = ...
local error, type, select, tostring = raw.error, raw.type, raw.select, raw.tostring
local raw_next, raw_rawget, raw_rawset = raw.next, raw.rawget, raw.rawset
local raw_setmetatable, raw_getmetatable, raw_pairs = raw.setmetatable, raw.getmetatable, raw.pairs
local raw_pcall, raw_xpcall, raw_resume = raw.pcall, raw.xpcall, raw.coroutine.resume
local raw_insert, raw_collect = raw.table.insert, raw.collectgarbage
local to_table = host.to_table
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
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. detail .. ")", 3)
end

-- A caught error that came from Rust is userdata; scripts see a table with the field err. A script that was
-- stopped must stay stopped: to_table raises again.
local function settle(ok, ...)
  if ok then return true, ... end
  local err = ...
  if type(err) == "userdata" then return false, to_table(err) end
  return false, err
end

local function settle_text(ok, ...)
  if ok then return true, ... end
  local err = ...
  if type(err) == "userdata" then err = to_table(err) end
  if type(err) == "table" then
    local text = err.err
    local kind = type(text)
    if kind == "string" or kind == "number" then err = text end
  end
  return false, err
end

local G = {_VERSION = raw._VERSION, assert = raw.assert, error = error, gcinfo = raw.gcinfo, ipairs = raw.ipairs,
  load = host.load, loadstring = host.loadstring, rawequal = raw.rawequal, select = select,
  tonumber = raw.tonumber, tostring = tostring, type = type, unpack = raw.unpack}

function G.pcall(...)
  if select("#", ...) == 0 then return false, "attempt to call a boolean value" end
  return settle_text(raw_pcall(...))
end

function G.xpcall(...)
  local count = select("#", ...)
  if count < 2 then bad(2, "xpcall", "value", count) end
  local f, user = ...
  return settle(raw_xpcall(f, function(err)
    if type(err) == "userdata" then
      if host.is_stop(err) then return err end
      err = to_table(err)
    end
    return user(err)
  end))
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
  return 0
end

local function copy(from)
  local to = {}
  for k, v in raw_pairs(from) do to[k] = v end
  return to
end

local coroutines = copy(raw.coroutine)
function coroutines.resume(...) return settle(raw_resume(...)) end
G.coroutine = freeze(coroutines)

local tables = copy(raw.table)
function tables.insert(...)
  local t, a, b = ...
  local count = select("#", ...)
  if type(t) ~= "table" then bad(1, "insert", "table", count, t) end
  if behind[t] then error(READONLY, 0) end
  if count == 2 then return raw_insert(t, a) end
  if count ~= 3 then error("wrong number of arguments to 'insert'", 2) end
  if type(a) ~= "number" and not raw.tonumber(a) then bad(2, "insert", "number", count, a) end
  return raw_insert(t, a, b)
end
G.table = freeze(tables)

local maths = copy(raw.math)
maths.random, maths.randomseed = host.random, host.randomseed
G.math = freeze(maths)

-- The real table stays behind the metatable of strings, so that ("x"):upper() costs no detour.
local strings = raw.string
strings.rep = host.rep
G.string = freeze(strings)
raw_getmetatable("").__metatable = freeze({__index = G.string})

local redis = host.redis
G.redis = freeze(redis)
if host.valkey then G.server = G.redis end

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
raw_setmetatable(G, {__index = missing})
local globals = freeze(G, freeze({__index = missing}))
G._G = globals

return globals, G
