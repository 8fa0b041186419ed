"""The strip of 64 black or white cells printed at the foot of every scanned sample page.

It lets a reader without any character recognition tell which page it looks at. README.md describes
the format for other implementations; `decode` is the reference.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

CELLS = 64
LEFT, RIGHT = 0.10, 0.90  # of the page's width, before the sheet was laid askew
TOP, BOTTOM = 0.955, 0.969  # of the page's height
START, END = 0b1011_0010_0111_0100, 0b0010_1101_0001_1011  # first and last cell are black

SEARCH_FROM = 0.88  # of the height: the strip is never higher
SLOPES = [math.tan(math.radians(step / 2)) for step in (0, *(s * k for k in range(1, 7) for s in (1, -1)))]


def checksum(number: int) -> int:
    """CRC-16/CCITT-FALSE of the two bytes of `number`, high byte first."""
    crc = 0xFFFF
    for byte in number.to_bytes(2, "big"):
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


def cells(number: int) -> list[bool]:
    """The 64 cells from left to right, True for black: START, number, its checksum, END."""
    word = START << 48 | number << 32 | checksum(number) << 16 | END
    return [bool(word >> (CELLS - 1 - i) & 1) for i in range(CELLS)]


def draw(page: Image.Image, number: int) -> None:
    """Prints the strip on an upright greyscale page."""
    pen = ImageDraw.Draw(page)
    pitch = page.width * (RIGHT - LEFT) / CELLS
    for i, black in enumerate(cells(number)):
        if black:
            x = page.width * LEFT + i * pitch
            pen.rectangle((round(x), round(page.height * TOP), round(x + pitch) - 1, round(page.height * BOTTOM)), fill=25)


def decode(page: Image.Image) -> int | None:
    """The number printed on an upright page, from 400 pixels of width."""
    grey = np.asarray(page.convert("L"), dtype=np.float32)
    height, width = grey.shape
    columns = np.arange(width)
    for slope in SLOPES:
        offsets = np.rint(slope * (columns - width / 2)).astype(int)
        for y in range(int(height * SEARCH_FROM), height, max(1, height // 400)):
            rows = np.clip(y + offsets, 1, height - 2)
            line = (grey[rows - 1, columns] + grey[rows, columns] + grey[rows + 1, columns]) / 3
            number = _read(line)
            if number is not None:
                return number
    return None


def _read(line: np.ndarray) -> int | None:
    """The number on one line of pixels, if that line runs along the whole strip."""
    width = len(line)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], line < 128, [0]))))
    runs = edges.reshape(-1, 2)
    runs = runs[runs[:, 1] - runs[:, 0] >= width / 250]  # thinner is dust
    if not len(runs):
        return None
    first, last = runs[0, 0], runs[-1, 1]
    if not 0.7 * width <= last - first <= 0.9 * width:
        return None
    pitch = (last - first) / CELLS
    word = 0
    for i in range(CELLS):
        middle = line[int(first + (i + 0.25) * pitch) : int(first + (i + 0.75) * pitch) + 1]
        word = word << 1 | int(middle.mean() < 128)
    number = word >> 32 & 0xFFFF
    sound = word >> 48 == START and word & 0xFFFF == END and word >> 16 & 0xFFFF == checksum(number)
    return number if sound else None
