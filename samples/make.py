"""Writes the sample copies: `python make.py` writes them, `python make.py --check` verifies them.

Prose, pupils and the look of each copy are data in prose/*.toml; this file only lays them out. The same
versions of the libraries (requirements.txt) give the same bytes on every run.
"""

import argparse
import importlib.util
import io
import json
import random
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from reportlab import rl_config
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

import scanned

HERE = Path(__file__).resolve().parent
rl_config.invariant = 1  # no clock and no random ids in the files
rl_config.canvas_basefontname = "DejaVuSans"  # nothing refers to a font that is not embedded
rl_config.useA85 = 0  # pictures stay plain JPEG streams, as scanners write them


def font_files() -> dict[str, Path]:
    """Every font by the name that the prose uses."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        sys.exit("make.py: matplotlib (for its DejaVu fonts) is missing: pip install -r requirements.txt")
    dejavu = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    names = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono")
    return {name: dejavu / f"{name}.ttf" for name in names} | {"Ecolier": HERE / "fonts" / "Ecolier-court.ttf"}


FONTS = font_files()


@dataclass(frozen=True)
class Copy:
    """One pupil's copy as the prose file describes it."""

    file: str
    surname: str
    given: str
    form: str  # a key of WRITERS
    body: str
    font: str = "DejaVuSans"
    hidden: list[str] = field(default_factory=list)  # white 1 pt on the page, and again off the page
    password: str = ""
    angle: float = 0.0  # degrees, counter-clockwise
    dpi: int = 150
    turned: bool = False  # stored lying on its side, put upright by /Rotate 90

    def pages(self) -> list[list[str]]:
        """The paragraphs of each page that the prose sets apart."""
        return [page.strip().split("\n\n") for page in self.body.split("\n---\n")]


@dataclass(frozen=True)
class Subject:
    """One folder of samples: the assignment and its copies."""

    folder: str
    date: str
    first_mark: int  # number of the first scanned page; the others follow
    copies: list[Copy]
    title: str
    classroom: str

    def head(self, copy: Copy) -> list[str]:
        """The lines that a pupil writes at the top of the first page."""
        return [f"Nom : {copy.surname}", f"Prénom : {copy.given}", f"Classe : {self.classroom}", f"Date : {self.date}"]


def subjects() -> list[Subject]:
    """Both subjects, read from prose/ and from each folder's assignment.json."""
    found = []
    for path in sorted((HERE / "prose").glob("*.toml")):
        prose = tomllib.loads(path.read_text(encoding="utf-8"))
        assignment = json.loads((HERE / prose["folder"] / "assignment.json").read_text(encoding="utf-8"))
        copies = [Copy(**copy) for copy in prose.pop("copy")]
        found.append(Subject(copies=copies, title=assignment["title"], **prose))
    return found


def typed(subject: Subject, copy: Copy) -> bytes:
    """A copy written with a word processor."""
    text = ParagraphStyle("text", fontName=copy.font, fontSize=11.5, leading=19, spaceAfter=8)
    strong = ParagraphStyle("strong", text, fontName=f"{copy.font}-Bold", spaceBefore=8, keepWithNext=1)
    story = [Paragraph("<br/>".join(subject.head(copy)), text), Paragraph(subject.title, strong)]
    for number, page in enumerate(copy.pages()):
        if number:
            story.append(PageBreak())
        story += [Paragraph(p, strong if p.startswith("Question ") else text) for p in page]

    def hide(canvas: Canvas, _document: SimpleDocTemplate) -> None:
        for row, order in enumerate(copy.hidden):
            canvas.saveState()
            canvas.setFont(copy.font, 1)
            canvas.setFillGray(1)
            canvas.drawString(25 * mm, (60 + 2 * row) * mm, order)
            canvas.restoreState()
            canvas.setFont(copy.font, 11)
            canvas.drawString(A4[0] + 20, 400 - 20 * row, order)

    out = io.BytesIO()
    lock = StandardEncryption(copy.password, ownerPassword="enseignant", strength=128) if copy.password else None
    margins = {f"{side}Margin": 22 * mm for side in ("left", "right", "top", "bottom")}
    document = SimpleDocTemplate(out, pagesize=A4, encrypt=lock, title=subject.title, lang="fr", **margins)
    document.build(story, onFirstPage=hide)
    return out.getvalue()


def scan_pages(subject: Subject, copy: Copy) -> list[tuple[int, list[str]]]:
    """The number and the lines of each page of a scanned copy."""
    first = subject.first_mark
    for other in subject.copies:
        if other is copy:
            break
        first += len(other.pages()) if other.form == "scan" else 0
    pages = copy.pages()
    pages[0].insert(0, "\n".join(subject.head(copy)))
    return [(first + i, scanned.lines_of(page, FONTS[copy.font], copy.font, copy.dpi)) for i, page in enumerate(pages)]


def scan(subject: Subject, copy: Copy) -> bytes:
    """A copy on paper, put through a scanner: pictures only."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)  # reportlab takes the size as seen, after /Rotate
    stored = landscape(A4) if copy.turned else A4
    for number, lines in scan_pages(subject, copy):
        picture = scanned.page(lines, number, FONTS, copy.font, copy.dpi, copy.angle)
        if copy.turned:
            picture = picture.rotate(90, expand=True)
            canvas.setPageRotation(90)
        canvas.drawImage(ImageReader(io.BytesIO(scanned.jpeg(picture))), 0, 0, *stored)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def blank(_subject: Subject, _copy: Copy) -> bytes:
    """One page with nothing on it."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def corrupt(subject: Subject, copy: Copy) -> bytes:
    """A file that stops half-way and whose content was overwritten: nothing is left to repair."""
    sound = typed(subject, copy)
    signature = sound[: sound.index(b"\n") + 1]
    return signature + random.Random(copy.file).randbytes(len(sound) // 2)


WRITERS = {"typed": typed, "encrypted": typed, "scan": scan, "blank": blank, "corrupt": corrupt}


def scans_json(subject: Subject) -> bytes:
    """What stands on each scanned page, by the number in its strip."""
    copies = []
    for copy in subject.copies:
        if copy.form == "scan":
            pages = [{"id": number, "text": "\n".join(lines)} for number, lines in scan_pages(subject, copy)]
            copies.append({"file": copy.file, "pupil": f"{copy.surname} {copy.given}", "pages": pages})
    return (json.dumps({"copies": copies}, ensure_ascii=False, indent=2) + "\n").encode()


def write(into: Path) -> None:
    """Writes every generated file of both subjects under `into`."""
    for name, path in FONTS.items():
        pdfmetrics.registerFont(TTFont(name, str(path)))
    for subject in subjects():
        folder = into / subject.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scans.json").write_bytes(scans_json(subject))
        for copy in subject.copies:
            (folder / copy.file).write_bytes(WRITERS[copy.form](subject, copy))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="verify the committed samples instead of writing them")
    if not parser.parse_args().check:
        return write(HERE)
    import check  # only the verification reads PDFs back

    with tempfile.TemporaryDirectory() as fresh:
        write(Path(fresh))
        sys.exit(check.run(HERE, Path(fresh), subjects()))


if __name__ == "__main__":
    main()
