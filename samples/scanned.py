"""Draws a pupil's page as a scanner would deliver it: one greyscale JPEG, slightly askew, no text."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import page_mark

PAPER, INK, RULE, MARGIN_RULE = 243, 58, 222, 205
WIDTH_MM, HEIGHT_MM = 210, 297
LINE_MM, LEFT_MM, RIGHT_MM, TOP_MM, LAST_MM = 8, 28, 198, 18, 274
TEXT_MM = {"Ecolier": 6.6, "DejaVuSansMono": 3.7}
JPEG_QUALITY = 60
PEN_MM = 0.12  # each word is drawn twice, this far apart: the handwriting font alone is too thin to scan
LABEL = "copie de démonstration"


def lines_of(paragraphs: list[str], font_file: Path, font: str, dpi: int) -> list[str]:
    """The paragraphs broken into lines as they stand on the page; an empty line between paragraphs."""
    face = _face(font_file, TEXT_MM[font], dpi)
    limit = (RIGHT_MM - LEFT_MM) * dpi / 25.4
    lines: list[str] = []
    for paragraph in paragraphs:
        if lines:
            lines.append("")
        for hard_line in paragraph.split("\n"):
            current = ""
            for word in hard_line.split(" "):
                longer = f"{current} {word}" if current else word
                if current and face.getlength(longer) > limit:
                    lines.append(current)
                    longer = word
                current = longer
            lines.append(current)
    return lines


def page(lines: list[str], number: int, font_files: dict[str, Path], font: str, dpi: int, angle: float) -> Image.Image:
    """The upright page `number` with its strip, as it comes out of the scanner."""
    random = np.random.default_rng(number)
    mm = dpi / 25.4
    sheet = Image.new("L", (round(WIDTH_MM * mm), round(HEIGHT_MM * mm)), PAPER)
    pen = ImageDraw.Draw(sheet)
    if font == "Ecolier":
        _rule(pen, mm)
    face = _face(font_files[font], TEXT_MM[font], dpi)
    space = face.getlength(" ")
    for row, line in enumerate(lines):
        baseline = TOP_MM + LINE_MM * (row + 1)
        if baseline > LAST_MM:
            raise ValueError(f"page {number}: {len(lines)} lines do not fit, break the page with ---")
        x = LEFT_MM * mm + random.uniform(-0.6, 0.6) * mm
        for word in line.split(" "):
            wobble = random.normal(0, 0.18) * mm
            ink = INK + int(random.integers(-12, 25))
            for shift in (0, PEN_MM * mm):
                pen.text((x + shift, baseline * mm + wobble), word, font=face, fill=ink, anchor="ls")
            x += face.getlength(word) + space
    page_mark.draw(sheet, number)
    small = _face(font_files["DejaVuSans"], 2.6, dpi)
    pen.text((sheet.width * page_mark.LEFT, sheet.height * page_mark.TOP - 2 * mm), LABEL, font=small, fill=90, anchor="ls")
    return _through_the_scanner(sheet, angle, random)


def jpeg(image: Image.Image) -> bytes:
    """The image as a greyscale JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return out.getvalue()


def _face(file: Path, size_mm: float, dpi: int) -> ImageFont.FreeTypeFont:
    # The basic layout engine does not depend on what the machine has installed.
    return ImageFont.truetype(str(file), round(size_mm * dpi / 25.4), layout_engine=ImageFont.Layout.BASIC)


def _rule(pen: ImageDraw.ImageDraw, mm: float) -> None:
    """The lines of a school exercise sheet."""
    y = TOP_MM + LINE_MM
    while y <= LAST_MM:
        pen.line((0, round(y * mm), WIDTH_MM * mm, round(y * mm)), fill=RULE)
        y += LINE_MM
    x = round((LEFT_MM - 4) * mm)
    pen.line((x, 0, x, round(LAST_MM * mm)), fill=MARGIN_RULE, width=2)


def _through_the_scanner(sheet: Image.Image, angle: float, random: np.random.Generator) -> Image.Image:
    """Lays the sheet askew, then adds blur, uneven light, grain and dust."""
    askew = sheet.rotate(angle, Image.Resampling.BICUBIC, fillcolor=225).filter(ImageFilter.GaussianBlur(0.5))
    grey = np.asarray(askew, dtype=np.float64)
    height, width = grey.shape
    light = 1 - 0.05 * np.linspace(0, 1, width)[None, :] - 0.03 * np.linspace(1, 0, height)[:, None]
    grey = grey * light + random.normal(0, 4.0, grey.shape)
    dust = random.random(grey.shape) < 0.0001
    grey[dust] = random.uniform(60, 170, int(dust.sum()))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
