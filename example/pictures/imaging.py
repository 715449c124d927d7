"""All that is done with pixels. Knows nothing of Flask, the database or jobs."""

import io
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

#: the longest edge of each size, in pixels
SIZES = {"small": 400, "medium": 900, "large": 1800}

#: what may be uploaded, and the ending its file gets
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}

MOST_PIXELS = 60_000_000
Image.MAX_IMAGE_PIXELS = None  # Pillow only warns between its limit and twice that: ours is checked instead

TONES = ("mono", "sepia", "warm", "cool", "faded", "vivid", "dusk", "negative")
CROPS = {"square": (1, 1), "wide": (16, 9), "tall": (3, 4)}
LOOKS = tuple(f"{tone}-{crop}" for tone in TONES for crop in CROPS)
LOOK_EDGE = 240


class PictureError(Exception):
    """Raised when a file is no picture, or not a whole one; the message is for the person who uploaded it."""


def kind_of(content: bytes) -> str:
    """The ending a file with this content gets. Only its first bytes are read: it may still be cut off."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as image:
            check_size(image)
            return FORMATS[image.format or ""]
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError("This is not a JPEG, PNG or WebP picture.") from error


def opened(path: Path, edge: int | None = None) -> Image.Image:
    """The whole picture, turned the right way up; `edge` allows to decode it smaller, which is faster."""
    with path.open("rb") as file:
        try:
            image = Image.open(file, formats=tuple(FORMATS))
            check_size(image)
            if edge:
                image.draft("RGB", (edge, edge))
            return ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise PictureError(f"The picture cannot be read: {error}.") from error


def check_size(image: Image.Image) -> None:
    """Refuse what a few bytes blow up to fill the memory; nothing was decoded yet."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"{width} by {height} pixels are too large; {MOST_PIXELS // 1_000_000} megapixels are allowed."
        )


def resized(image: Image.Image, edge: int) -> bytes:
    """This picture as WebP, its longest edge at most `edge` pixels."""
    small = image.copy()
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return encoded(small)


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82, method=3)
    return buffer.getvalue()


def bound(pages: list[Image.Image]) -> bytes:
    """These pictures as one PDF, each on a page of its own."""
    buffer = io.BytesIO()
    pages[0].save(buffer, "PDF", save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def look(image: Image.Image, name: str) -> bytes:
    """This picture in another look, such as `sepia-square`."""
    tone, crop = name.split("-")
    return encoded(toned(cropped(image, *CROPS[crop]), tone))


def cropped(image: Image.Image, across: int, down: int) -> Image.Image:
    """The middle of the picture in the proportion asked for, `LOOK_EDGE` pixels long."""
    scale = LOOK_EDGE / max(across, down)
    fitted = ImageOps.fit(image, (round(across * scale), round(down * scale)), Image.Resampling.BICUBIC)
    paper = Image.new("RGB", fitted.size, "white")
    paper.paste(fitted, mask=fitted.getchannel("A") if fitted.mode == "RGBA" else None)
    return paper


def toned(image: Image.Image, tone: str) -> Image.Image:
    grey = ImageOps.grayscale(image)
    if tone == "mono":
        return ImageOps.autocontrast(grey, cutoff=1).convert("RGB")
    if tone == "sepia":
        return ImageOps.colorize(grey, "#1e140a", "#fff3dc", "#9a7448")
    if tone == "dusk":
        return ImageOps.colorize(grey, "#120a2a", "#ffd9b0", "#8a4a78")
    if tone == "negative":
        return ImageOps.invert(image)
    if tone == "vivid":
        return ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.6)).enhance(1.15)
    if tone == "faded":
        return Image.blend(ImageEnhance.Color(image).enhance(0.6), Image.new("RGB", image.size, "#d9d4c8"), 0.25)
    tint = "#ff9a3c" if tone == "warm" else "#3c8cff"
    return Image.blend(image, Image.new("RGB", image.size, tint), 0.18)
