-- Put held jobs of types back into their line.
-- KEYS: what it may touch, where the server must know that beforehand.
-- ARGV: root; partition; the types, within line ends.
-- Returns how many, 500 at most.

local p, types = arg(), arg()

local released = release(p, types) + (has(p, 'l') and gates().mend(p) or 0)
if released > 0 then
    wake()
end
return released
