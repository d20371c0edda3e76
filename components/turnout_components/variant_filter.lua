-- Puts the user's variant into the request header, as `turnout_components.variants` says it, and takes off what a client sent
-- under that name. Before this text `settings` is set: experiment, target, header, cookie, buckets, ranges.

local band, bnot, bor, bxor = bit.band, bit.bnot, bit.bor, bit.bxor
local lshift, ror, rshift, tobit = bit.lshift, bit.ror, bit.rshift, bit.tobit

-- SHA-256 (FIPS 180-4): its constants are the first 32 bits of the fractions of the primes' cube and square roots.
local K, H = {}, {}
do
  local candidate = 2
  while #K < 64 do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(candidate)) do
      if candidate % divisor == 0 then is_prime = false break end
    end
    if is_prime then
      K[#K + 1] = tobit(math.floor(candidate ^ (1 / 3) % 1 * 2 ^ 32))
      if #H < 8 then H[#H + 1] = tobit(math.floor(math.sqrt(candidate) % 1 * 2 ^ 32)) end
    end
    candidate = candidate + 1
  end
end

local function word(value)
  return string.char(band(rshift(value, 24), 255), band(rshift(value, 16), 255), band(rshift(value, 8), 255), band(value, 255))
end

-- The first 32 bits of the text's SHA-256, 0 to 2^32 - 1.
local function sha256_begin(text)
  local padded = text .. "\128" .. string.rep("\0", (55 - #text) % 64) .. word(0) .. word(#text * 8)
  local state, w = {unpack(H)}, {}
  for block = 1, #padded, 64 do
    for i = 1, 16 do
      local b1, b2, b3, b4 = string.byte(padded, block + i * 4 - 4, block + i * 4 - 1)
      w[i] = bor(lshift(b1, 24), lshift(b2, 16), lshift(b3, 8), b4)
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
      local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
      w[i] = tobit(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for i = 1, 64 do
      local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local choice = bxor(band(e, f), band(bnot(e), g))
      local t1 = tobit(h + s1 + choice + K[i] + w[i])
      local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local majority = bxor(band(a, b), band(a, c), band(b, c))
      a, b, c, d, e, f, g, h = tobit(t1 + s0 + majority), a, b, c, tobit(d + t1), e, f, g
    end
    for i, value in ipairs({a, b, c, d, e, f, g, h}) do state[i] = tobit(state[i] + value) end
  end
  return state[1] % 2 ^ 32
end

local function from_cookie(headers)
  for index = 0, headers:getNumValues("cookie") - 1 do
    for pair in string.gmatch(headers:getAtIndex("cookie", index), "[^;]+") do
      local name, value = string.match(pair, "^%s*([^=]-)%s*=%s*(.-)%s*$")
      if name == settings.cookie then return value end
    end
  end
end

local function user_key(headers)
  local key = settings.header and headers:get(settings.header)
  if (key == nil or key == "") and settings.cookie then key = from_cookie(headers) end
  return key
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove(settings.target)
  local key = user_key(headers)
  if key == nil or key == "" then return end
  local bucket = sha256_begin(settings.experiment .. ":" .. key) % settings.buckets
  for _, range in ipairs(settings.ranges) do
    if bucket >= range[1] and bucket < range[2] then
      headers:add(settings.target, range[3])
      return
    end
  end
end
