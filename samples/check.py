"""Verifies the committed samples: fresh, well-formed, and every scanned page's strip readable."""

import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from PIL import Image
from pypdf import PdfReader
from pypdf.errors import PdfReadError

import page_mark

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # the corrupt copy is meant to be corrupt

BUDGET_BYTES = 6_000_000
# What a reader may do to a page before it looks for the strip: width in pixels, then JPEG quality.
READINGS = [(1240, 70), (1000, 60), (800, 60)]
EXTRA_DEGREES = (-1.0, 0.0, 1.0)  # beyond the angle of the scan itself


def run(committed: Path, fresh: Path, subjects: list) -> int:
    """Prints one line a finding; 0 when all is well, 1 otherwise."""
    complaints = [line for subject in subjects for line in _subject(committed, fresh, subject)]
    size = sum(path.stat().st_size for path in committed.rglob("*") if "__pycache__" not in path.parts)
    if size > BUDGET_BYTES:
        complaints.append(f"the folder holds {size} bytes, more than {BUDGET_BYTES}")
    for line in complaints:
        print("wrong:", line)
    print(f"{sum(len(s.copies) for s in subjects)} copies, {size / 1e6:.1f} MB, {len(complaints)} complaints")
    return int(bool(complaints))


def _subject(committed: Path, fresh: Path, subject) -> Iterator[str]:
    folder = committed / subject.folder
    for path in sorted((fresh / subject.folder).iterdir()):
        if not (folder / path.name).is_file() or (folder / path.name).read_bytes() != path.read_bytes():
            yield f"{subject.folder}/{path.name} is not what make.py writes: run it again"
    yield from _rubric(folder)
    roster = json.loads((folder / "assignment.json").read_text(encoding="utf-8"))["roster"]
    readme = (committed / "README.md").read_text(encoding="utf-8")
    for copy in subject.copies:
        if f"{copy.surname} {copy.given}" not in roster:
            yield f"{copy.file}: the pupil is not on the roster"
        if f"`{copy.file}`" not in readme:
            yield f"{copy.file} is missing in README.md"
        yield from (f"{copy.file}: {fault}" for fault in _copy(folder / copy.file, copy.form))
    yield from _scans(folder)


def _rubric(folder: Path) -> Iterator[str]:
    rubric = json.loads((folder / "rubric.json").read_text(encoding="utf-8"))
    points = {q["id"]: (Decimal(q["points"]), sum(Decimal(c["points"]) for c in q["criteria"])) for q in rubric["questions"]}
    for question, (stated, summed) in points.items():
        if stated != summed:
            yield f"{folder.name} {question}: {stated} points stated, its criteria give {summed}"
    if sum(stated for stated, _ in points.values()) != Decimal(rubric["total"]):
        yield f"{folder.name}: the questions do not add up to {rubric['total']}"
    for criterion in (c for q in rubric["questions"] for c in q["criteria"]):
        if Decimal(criterion["points"]) % Decimal(criterion["step"]):
            yield f"{folder.name} {criterion['id']}: the points are not a number of steps"


def _copy(path: Path, form: str) -> Iterator[str]:
    try:
        reader = PdfReader(path)
    except PdfReadError:
        if form != "corrupt":
            yield "cannot be parsed"
        return
    if reader.is_encrypted != (form == "encrypted"):
        yield "encrypted, or not, against its description"
    if form == "corrupt":
        yield "parses although it should be corrupt"
    if form not in ("typed", "scan", "blank"):
        return
    text = "\n".join(page.extract_text() for page in reader.pages)
    if form == "typed" and not all(f"Question {n}" in text for n in range(1, 5)):
        yield "a question's heading is missing in its text"
    if form in ("scan", "blank") and text.strip():
        yield "holds text although it should not"


def _scans(folder: Path) -> Iterator[str]:
    for copy in json.loads((folder / "scans.json").read_text(encoding="utf-8"))["copies"]:
        pages = PdfReader(folder / copy["file"]).pages
        if len(pages) != len(copy["pages"]):
            yield f"{copy['file']}: {len(pages)} pages, {len(copy['pages'])} in scans.json"
        for page, known in zip(pages, copy["pages"]):
            upright = page.images[0].image.rotate(-page.rotation, expand=True)
            for reading, picture in _readings(upright):
                if page_mark.decode(picture) != known["id"]:
                    yield f"{copy['file']}: the strip of page {known['id']} is lost {reading}"


def _readings(upright: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    for width, quality in READINGS:
        for degrees in EXTRA_DEGREES:
            turned = upright.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=225)
            small = turned.resize((width, round(width * upright.height / upright.width)), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            small.save(out, "JPEG", quality=quality)
            yield f"at {width} px, quality {quality}, turned {degrees}°", Image.open(out)
