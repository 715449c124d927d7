#!/usr/bin/env python3
# ruff: noqa: S311 - chance paints here, it protects nothing
"""Paints the sample pictures: `python example/make_pictures.py` writes example/sample/ and the cover anew.

Everything is arithmetic and Pillow. It takes about three minutes, and the same run paints the same pictures.
"""

import cmath
import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

EXAMPLE = Path(__file__).resolve().parent
Colour = tuple[int, int, int]
Stops = Sequence[tuple[float, str]]


# --- Tools ---


def mix(stops: Stops, at: float) -> Colour:
    """The colour at a place between 0 and 1 of a scale."""
    for (left, first), (right, second) in pairwise(stops):
        if at <= right:
            part = max(0.0, (at - left) / (right - left))
            return blend(ImageColor.getrgb(first), ImageColor.getrgb(second), part)
    return blend(ImageColor.getrgb(stops[-1][1]), (0, 0, 0), 0)


def blend(first: Sequence[int], second: Sequence[int], part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first[:3], second[:3], strict=True))
    return red, green, blue


def sky(size: tuple[int, int], stops: Stops) -> Image.Image:
    """A scale of colours from top to bottom."""
    column = Image.new("RGB", (1, 512))
    column.putdata([mix(stops, y / 511) for y in range(512)])
    return column.resize(size, Image.Resampling.BICUBIC)


def noise(size: tuple[int, int], cells: int, chance: random.Random, octaves: int = 4) -> Image.Image:
    """Soft clouds in grey: random dots, enlarged, each octave half as strong as the one before."""
    total = Image.new("L", size, 0)
    for octave in range(octaves):
        across = cells * 2**octave
        down = max(2, round(across * size[1] / size[0]))
        dots = Image.new("L", (across, down))
        dots.putdata([chance.randrange(256) for _ in range(across * down)])
        total = Image.blend(total, dots.resize(size, Image.Resampling.BICUBIC), 1 / (1.0 + 2**octave) if octave else 1)
    return total


def curve(width: int, rough: Sequence[tuple[float, float, float]]) -> list[float]:
    """The outline of a ridge: waves given as (height, length, start)."""
    return [sum(h * math.sin(2 * math.pi * x / length + s) for h, length, s in rough) for x in range(width)]


def waves(chance: random.Random, height: float, length: float, count: int = 7) -> list[tuple[float, float, float]]:
    return [
        (height / 1.75**n, length / 1.9**n * chance.uniform(0.8, 1.2), chance.uniform(0, 6.28)) for n in range(count)
    ]


def ridge(image: Image.Image, base: float, outline: Sequence[float], top: str, foot: str) -> None:
    """One ridge in front of what is there, fading from `top` to `foot` downwards."""
    width, height = image.size
    mask = Image.new("L", image.size, 0)
    line = [(x, base - y) for x, y in enumerate(outline)]
    ImageDraw.Draw(mask).polygon([(0, height), *line, (width, height)], fill=255)
    highest = max(0, int(base - max(outline)))
    ground = Image.new("RGB", image.size, foot)
    ground.paste(sky((width, height - highest), [(0, top), (1, foot)]), (0, highest))
    image.paste(ground, mask=mask.filter(ImageFilter.GaussianBlur(0.8)))


def glow(
    image: Image.Image, centre: tuple[float, float], radius: float, colour: str, strength: float = 1
) -> Image.Image:
    """Light around a point."""
    spot = Image.radial_gradient("L").point(lambda v: round(255 * strength * max(0.0, 1 - v / 180) ** 2))
    spot = spot.resize((round(radius * 2), round(radius * 2)), Image.Resampling.BICUBIC)
    light = Image.new("L", image.size, 0)
    light.paste(spot, (round(centre[0] - radius), round(centre[1] - radius)))
    lit = ImageChops.screen(image, Image.new("RGB", image.size, colour))
    return Image.composite(lit, image, light)


def pixels(size: tuple[int, int], colour: Callable[[float, float], Colour]) -> Image.Image:
    """Ask for the colour of every pixel, x and y from -1 to 1 along the longer edge."""
    width, height = size
    half = max(size) / 2
    image = Image.new("RGB", size)
    image.putdata(
        [colour((x - width / 2) / half, (y - height / 2) / half) for y in range(height) for x in range(width)]
    )
    return image


# --- The pictures ---


def ridges_at_dawn() -> Image.Image:
    """The big one."""
    chance, size = random.Random(7), (4000, 2500)
    image = sky(size, [(0, "#5b7fa8"), (0.3, "#c9b9b4"), (0.52, "#f8d9ae"), (1, "#fbe6c6")])
    image = glow(image, (2650, 1130), 1500, "#fff1cf", 0.95)
    tones = ["#d9b8a4", "#b9979b", "#8e7a92", "#65618a", "#414a73", "#262f52", "#131a33"]
    for n, (near, mist) in enumerate(zip(tones, ["#f3d6b8", *tones], strict=False)):
        outline = curve(size[0], waves(chance, 120 + 34 * n, 2600 - 190 * n, 8))
        ridge(image, 1180 + 205 * n, outline, near, str(mist))
    return image


def moon_over_hills() -> Image.Image:
    chance, size = random.Random(3), (1000, 1500)
    image = sky(size, [(0, "#060b22"), (0.45, "#152a58"), (0.7, "#3d5a8f"), (1, "#7d8fb5")])
    draw = ImageDraw.Draw(image)
    for _ in range(420):
        x, y, shine = chance.uniform(0, 1000), chance.uniform(0, 1) ** 1.6 * 900, chance.randrange(90, 255)
        dot = chance.choice([0.6, 0.8, 0.8, 1.5])
        draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=(shine, shine, min(255, shine + 20)))
    image = glow(image, (690, 360), 420, "#cfdcff", 0.8)
    ImageDraw.Draw(image).ellipse((622, 292, 758, 428), fill="#f4f1e2")
    seas = noise((136, 136), 4, chance).point(lambda v: 70 if v > 135 else 0).filter(ImageFilter.GaussianBlur(3))
    image.paste(Image.new("RGB", (136, 136), "#c8c4b4"), (622, 292), seas)
    for n, tone in enumerate(["#4a6292", "#324a7a", "#1f3460", "#111f42", "#070e24"]):
        ridge(image, 980 + 115 * n, curve(1000, waves(chance, 60 + 12 * n, 900, 6)), tone, "#0a1330")
    return image


def dunes() -> Image.Image:
    chance, size = random.Random(21), (1500, 1000)
    image = sky(size, [(0, "#2f6f9f"), (0.35, "#9fc3cf"), (0.5, "#f3dcb5"), (1, "#f3dcb5")])
    lights = ["#f0c48d", "#eab277", "#e09a5c", "#d98b4a", "#cf7a3a"]
    shades = ["#b98a63", "#a86f48", "#8f5632", "#783f24", "#5b2a18"]
    for n, (light, shade) in enumerate(zip(lights, shades, strict=True)):
        base, outline = 470 + 120 * n, curve(1500, waves(chance, 55 + 20 * n, 1300, 3))
        ridge(image, base, outline, light, light)
        edge = curve(1500, waves(chance, 16 + 8 * n, 500, 3))
        lee = [(x, base - outline[x]) for x in range(1500) if (outline[min(x + 6, 1499)] - outline[x]) < 0]
        mask = Image.new("L", size, 0)
        draw = ImageDraw.Draw(mask)
        for x, y in lee:
            draw.line((x, y, x + 90 + edge[x], y + 230 + 60 * n), fill=170)
        image.paste(Image.new("RGB", size, shade), mask=mask.filter(ImageFilter.GaussianBlur(2)))
    return image


def sun_over_the_sea() -> Image.Image:
    chance, size, horizon = random.Random(11), (1500, 1000), 560
    image = sky(size, [(0, "#2a2f6b"), (0.25, "#8a4a86"), (0.42, "#e8756a"), (0.56, "#ffc56b"), (1, "#ffc56b")])
    clouds = noise(size, 3, chance, 5).point(lambda v: max(0, min(255, (v - 128) * 5)))
    clouds = ImageChops.multiply(
        clouds.resize((1500, 300)).resize(size),
        sky(size, [(0, "#999999"), (0.5, "#000000"), (1, "#000000")]).convert("L"),
    )
    image.paste(Image.new("RGB", size, "#ffd9c0"), mask=clouds)
    image = glow(image, (960, 500), 640, "#fff0b8", 0.9)
    ImageDraw.Draw(image).ellipse((900, 440, 1020, 560), fill="#fff6d8")
    image.paste(sky((1500, size[1] - horizon), [(0, "#d98a72"), (0.25, "#7d4f7c"), (1, "#1d1f4d")]), (0, horizon))
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(2600):
        depth = chance.random() ** 1.7
        y, spread = horizon + 2 + depth * 436, 40 + depth * 330
        x, length = chance.gauss(960, spread), 6 + depth * 60
        near = max(0.0, 1 - abs(x - 960) / (spread * 2.4))
        draw.line(
            (x - length, y, x + length, y),
            fill=(255, 214, 150, round(150 * near)),
            width=1 + round(depth * 3),
        )
    for _ in range(900):
        depth = chance.random()
        x, y, length = chance.uniform(0, 1500), horizon + 2 + depth * 436, 10 + depth * 90
        draw.line((x - length, y, x + length, y), fill=(20, 18, 60, 60), width=1 + round(depth * 3))
    return image


def forest_in_fog() -> Image.Image:
    chance, size = random.Random(5), (1000, 1400)
    image = sky(size, [(0, "#dfe8e2"), (0.5, "#c5d6cf"), (1, "#9fb8ae")])
    image = glow(image, (380, 360), 620, "#fffbe6", 0.8)
    for n, tone in enumerate(["#b9cdc5", "#98b3aa", "#6f9187", "#456b62", "#1f433d"]):
        layer = Image.new("L", size, 0)
        draw = ImageDraw.Draw(layer)
        for _ in range(26 - 4 * n):
            fir(
                draw,
                chance,
                chance.uniform(-40, 1040),
                760 + 165 * n,
                260 + 120 * n + chance.uniform(-60, 60),
            )
        draw.rectangle((0, 745 + 160 * n, 1000, 1400), fill=255)
        image.paste(Image.new("RGB", size, tone), mask=layer.filter(ImageFilter.GaussianBlur(max(0.6, 2.4 - n / 2))))
        fog = sky(
            size,
            [
                (0, "#000000"),
                (0.4, "#000000"),
                (0.54 + n * 0.11, "#8a8a8a"),
                (0.66 + n * 0.11, "#000000"),
                (1.5, "#000000"),
            ],
        )
        if n < 4:
            image.paste(Image.new("RGB", size, "#dde8e3"), mask=fog.convert("L"))
    return image


def fir(draw: ImageDraw.ImageDraw, chance: random.Random, x: float, foot: float, tall: float) -> None:
    """A fir: branches that grow longer towards the ground."""
    draw.line((x, foot, x, foot - tall), fill=255, width=max(2, round(tall / 60)))
    for step in range(46):
        down = step / 46
        y = foot - tall + tall * 0.93 * down
        reach = tall * 0.19 * down**0.9 * chance.uniform(0.72, 1.1) + 2
        drop = reach * 0.42
        draw.polygon(
            [(x, y - tall * 0.03), (x - reach, y + drop), (x, y + drop * 0.55), (x + reach, y + drop)],
            fill=255,
        )


def julia() -> Image.Image:
    scale = [
        (0, "#0b1030"),
        (0.12, "#20397a"),
        (0.3, "#2f8f9d"),
        (0.5, "#f2e3b0"),
        (0.72, "#e2803f"),
        (1, "#5d1a3a"),
    ]
    table = [mix(scale, n / 255) for n in range(256)]

    def colour(x: float, y: float) -> Colour:
        z, c = complex(x * 1.55, y * 1.55) * cmath.exp(0.35j), complex(-0.79, 0.156)
        for n in range(220):
            if abs(z) > 8:
                smooth = n + 1 - math.log2(math.log(abs(z)))
                return table[min(255, round(255 * math.pow(max(0.0, smooth) / 90, 0.62)))]
            z = z * z + c
        return table[255]

    return pixels((1680, 1120), colour).resize((1260, 840), Image.Resampling.LANCZOS)


def sea_horses() -> Image.Image:
    scale = [
        (0, "#1b0f2e"),
        (0.2, "#5a2a6e"),
        (0.4, "#d8577a"),
        (0.58, "#ffd08a"),
        (0.78, "#6fc0b4"),
        (1, "#123a55"),
    ]
    table = [mix(scale, n / 255) for n in range(256)]

    def colour(x: float, y: float) -> Colour:
        c, z = complex(-0.7453 + x * 0.0065, 0.1127 + y * 0.0065), 0j
        for n in range(600):
            if z.real * z.real + z.imag * z.imag > 64:
                smooth = n + 1 - math.log2(math.log(abs(z)))
                return table[round(127.5 - 127.5 * math.cos(math.log(smooth + 1) * 4.4))]
            z = z * z + c
        return 18, 10, 30

    return pixels((1400, 1400), colour).resize((1000, 1000), Image.Resampling.LANCZOS)


def northern_lights() -> Image.Image:
    chance, size = random.Random(17), (1000, 1500)
    image = sky(size, [(0, "#050a1c"), (0.6, "#0d2438"), (1, "#1d4350")])
    draw = ImageDraw.Draw(image)
    for _ in range(260):
        x, y, shine = chance.uniform(0, 1000), chance.uniform(0, 1050), chance.randrange(60, 220)
        draw.ellipse((x - 0.8, y - 0.8, x + 0.8, y + 0.8), fill=(shine, shine, shine))
    for band, (base, tone, tall) in enumerate([(640, "#7a4fd0", 460), (820, "#36d6a0", 560), (960, "#62f0b8", 420)]):
        light = Image.new("L", size, 0)
        draw = ImageDraw.Draw(light)
        foot, rays = (
            curve(1000, waves(chance, 110, 900 - 160 * band, 3)),
            curve(1000, waves(chance, 0.35, 70, 4)),
        )
        for x in range(1000):
            for step in range(60):
                y = base - foot[x] - tall * step / 60
                bright = 255 * (0.6 + rays[x]) * (1 - step / 60) ** 1.7 * min(1.0, step / 5)
                draw.rectangle((x, y, x, y + tall / 60), fill=max(0, min(255, round(bright * 0.8))))
        lit = ImageChops.screen(image, Image.new("RGB", size, tone))
        image = Image.composite(lit, image, light.filter(ImageFilter.GaussianBlur(4)))
    for n, tone in enumerate(["#0d2230", "#081722", "#040c14"]):
        ridge(image, 1210 + 95 * n, curve(1000, waves(chance, 62, 620, 7)), tone, tone)
    return image


def bloom() -> Image.Image:
    """The transparent one: petals over nothing."""
    size = (1000, 1000)
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    rings = [
        (16, 455, "#e8577a"),
        (14, 370, "#f0786a"),
        (12, 285, "#f79d5c"),
        (10, 200, "#fbc25e"),
        (8, 120, "#fde58a"),
    ]
    for ring, (count, reach, tone) in enumerate(rings):
        for n in range(count):
            petal = Image.new("RGBA", size, (*ImageColor.getrgb(tone)[:3], 0))
            mask = Image.new("L", size, 0)
            ImageDraw.Draw(mask).ellipse((500 - reach * 0.2, 500 - reach, 500 + reach * 0.2, 500), fill=150)
            petal.putalpha(mask.rotate(360 * n / count + 11 * ring, Image.Resampling.BICUBIC))
            image = Image.alpha_composite(image, petal)
    return image.quantize(160, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def marbled_paper() -> Image.Image:
    scale = [
        (0, "#12343b"),
        (0.25, "#2d6a6a"),
        (0.45, "#e9dcc0"),
        (0.6, "#d99a4e"),
        (0.75, "#b5462f"),
        (1, "#3a1420"),
    ]
    table = [mix(scale, n / 255) for n in range(256)]

    def colour(x: float, y: float) -> Colour:
        for n in range(1, 6):
            x, y = (
                x + math.sin(y * 2.1 * n + n * 1.3) / (1.5 * n),
                y + math.cos(x * 1.9 * n + n * 0.7) / (1.6 * n),
            )
        return table[round(127.5 + 127.5 * math.sin(x * 6.2 + y * 3.1))]

    return pixels((1800, 1200), colour).resize((1200, 800), Image.Resampling.LANCZOS)


def field_lines() -> Image.Image:
    """Ink on paper: lines around a few poles."""
    chance, size = random.Random(9), (1200, 1600)
    image = Image.new("RGB", size, "#f4efe4")
    draw = ImageDraw.Draw(image)
    poles = [(chance.uniform(0, 1200), chance.uniform(0, 1600), chance.choice([-1, 1])) for _ in range(7)]
    inks = ["#1d3557", "#1d3557", "#33658a", "#c8553d"]
    for _ in range(1500):
        x, y, ink = chance.uniform(-60, 1260), chance.uniform(-60, 1660), chance.choice(inks)
        draw.line(list(followed(x, y, poles)), fill=ink, width=2, joint="curve")
    return image.resize((900, 1200), Image.Resampling.LANCZOS)


def followed(x: float, y: float, poles: Sequence[tuple[float, float, int]]) -> Iterator[tuple[float, float]]:
    for _ in range(26):
        yield x, y
        angle = sum(sign * math.atan2(y - py, x - px) for px, py, sign in poles)
        x, y = x + 6 * math.cos(angle), y + 6 * math.sin(angle)


def city_at_dusk() -> Image.Image:
    chance, size = random.Random(31), (2000, 800)
    image = sky(size, [(0, "#28345f"), (0.45, "#a8688c"), (0.72, "#f4a574"), (1, "#ffd9a0")])
    image = glow(image, (1500, 640), 700, "#ffe3a8", 0.6)
    for n, (tone, lit) in enumerate(
        [("#a06a86", ""), ("#6a4a74", "#ffcf8a"), ("#2b2748", "#ffd884"), ("#141430", "#ffe09a")]
    ):
        draw, x = ImageDraw.Draw(image), -20.0
        while x < 2000:
            width, tall = chance.uniform(40, 120), (chance.random() ** 1.8 * 330 + 60) * (1 - n * 0.12)
            top = 800 - tall - (3 - n) * 82
            draw.rectangle((x, top, x + width, 800), fill=tone)
            if chance.random() < 0.25:
                draw.line((x + width / 2, top, x + width / 2, top - chance.uniform(15, 60)), fill=tone, width=3)
            if lit:
                windows(draw, chance, (x, top, width), lit, 0.22 + n * 0.06)
            x += width + chance.choice([0, 0, 6, 14])
    return image


def windows(
    draw: ImageDraw.ImageDraw,
    chance: random.Random,
    house: tuple[float, float, float],
    lit: str,
    share: float,
) -> None:
    x, top, width = house
    for row in range(round((800 - top) / 15)):
        for column in range(round((width - 10) / 11)):
            if chance.random() < share:
                left, upper = x + 7 + column * 11, top + 9 + row * 15
                draw.rectangle((left, upper, left + 4, upper + 6), fill=lit)


# --- Writing ---


def turned(image: Image.Image) -> tuple[Image.Image, Image.Exif]:
    """As a camera held upright keeps it: lying on its side, with a note how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return image.transpose(Image.Transpose.ROTATE_90), exif


def main() -> None:
    sample = EXAMPLE / "sample"
    sample.mkdir(exist_ok=True)
    dawn = ridges_at_dawn()
    dawn.save(sample / "ridges-at-dawn.jpg", quality=82, optimize=True, progressive=True)
    dawn.crop((1400, 200, 3600, 2500)).resize((1100, 1150)).save(
        EXAMPLE / "pictures/static/cover.jpg", quality=84, optimize=True, progressive=True
    )
    fog, exif = turned(forest_in_fog())
    fog.save(sample / "forest-in-fog.jpg", quality=82, optimize=True, exif=exif)
    bloom().save(sample / "bloom.png", optimize=True)
    field_lines().quantize(24).save(sample / "field-lines.png", optimize=True)
    for paint in (
        moon_over_hills,
        dunes,
        sun_over_the_sea,
        julia,
        sea_horses,
        northern_lights,
        marbled_paper,
        city_at_dusk,
    ):
        name = paint.__name__.replace("_", "-")
        paint().save(sample / f"{name}.jpg", quality=80, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
