"""Pictures from outside: decoded within bounds, turned upright, kept once by content.

This is the only place that opens a picture that somebody gave us.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, ImageOps, IptcImagePlugin, UnidentifiedImageError

from data.errors import BadInput

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Assets",
    "description_of",
    "digest_of",
    "open_picture",
]

MAX_PIXELS = 64_000_000  # 192 MB decoded: any scanner page, no decompression bomb
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"}
)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_THUMBNAIL = 320  # pixels on the longer side
_EXIF_DESCRIPTION = 0x010E
_IPTC_CAPTION = (2, 120)
# What cameras write into every picture says nothing about it.
_CAMERA_NOISE = re.compile(r"\W*|.*digital (still )?camera.*|created with .*|untitled", re.I)


def digest_of(data: bytes) -> str:
    """SHA-256 of `data` in hex: a picture's name in the asset folder."""
    return hashlib.sha256(data).hexdigest()


def open_picture(source: Path | bytes, name: str = "") -> Image.Image:
    """Decode a picture to upright RGB; transparency is laid on white.

    Raises `BadInput` naming the file for anything that is no picture, is broken, or has more than
    `MAX_PIXELS` pixels (read from the header, before any pixel is decoded).
    """
    with _opened(source, name) as picture:
        return _on_white(ImageOps.exif_transpose(picture) or picture)


def description_of(source: Path, name: str = "") -> str:
    """The words that a picture file holds: its IPTC caption, which people write, before EXIF's.

    Only the header is read. Raises `BadInput` as `open_picture`, but not for broken pixels.
    """
    with _opened(source, name) as picture:
        exif = Image.Image.getexif(picture)  # that of the PNG plugin decodes the pixels
        found: list[Any] = [
            (IptcImagePlugin.getiptcinfo(picture) or {}).get(_IPTC_CAPTION),
            exif.get(_EXIF_DESCRIPTION),
        ]
    for value in found:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            text = " ".join(value.replace("\0", " ").split())
            if not _CAMERA_NOISE.fullmatch(text):
                return text
    return ""


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[ImageFile.ImageFile]:
    """The picture before its pixels are decoded; what Pillow raises meanwhile becomes ours."""
    name = name or (str(source) if isinstance(source, Path) else "picture")
    try:
        handle = io.BytesIO(source) if isinstance(source, bytes) else source
        with warnings.catch_warnings():
            # a large picture is measured below; what Pillow says of odd metadata helps nobody
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(handle, formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise BadInput(
                        f"{name}: the picture has {width} x {height} pixels, more than the "
                        f"{MAX_PIXELS // 1_000_000} million allowed; scale it down first"
                    )
                yield picture
    except FileNotFoundError:
        raise BadInput(f"{name}: no such file; check the path") from None
    except Image.DecompressionBombError as error:
        raise BadInput(f"{name}: {error}; scale the picture down first") from None
    except UnidentifiedImageError:
        raise BadInput(
            f"{name}: not a picture that can be read; expected one of "
            + ", ".join(f.lower() for f in _FORMATS)
        ) from None
    except MemoryError:
        raise BadInput(f"{name}: no memory is left for the picture; scale it down first") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise BadInput(f"{name}: the picture is broken ({error}); save it again") from None


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        # 16-bit scans: scale to 8 bits, which convert() would clip instead
        low, high = picture.convert("F").getextrema()
        scale = 255.0 / max(high - low, 1e-6)  # type: ignore[operator]
        return picture.convert("F").point(lambda v: (v - low) * scale).convert("RGB")
    return picture.convert("RGB")


class Assets:
    """A content-addressed folder of pictures: `ab/abcd….png` and thumbnails beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, picture: Image.Image) -> str:
        """Keep the bytes as they came, with a thumbnail of `picture`; returns the digest."""
        digest = digest_of(data)
        path, thumbnail = self._file(digest, data), self.thumbnail(digest)
        if not path.exists():
            _write(path, data)
        if not thumbnail.exists():
            scale = min(1.0, _THUMBNAIL / max(picture.size))
            width, height = (max(1, round(side * scale)) for side in picture.size)
            small = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
            buffer = io.BytesIO()
            # WebP takes two thirds of the room and ten times as long, a fifth of all reading
            small.save(buffer, "JPEG", quality=85, subsampling=0)
            _write(thumbnail, buffer.getvalue())
        return digest

    def copy(self, digest: str) -> tuple[bytes, bytes]:
        """A picture that is kept here and its thumbnail, to be kept elsewhere by `take`."""
        path = self.path(digest)
        assert path is not None, f"{digest} is not kept here"
        return path.read_bytes(), self.thumbnail(digest).read_bytes()

    def take(self, data: bytes, thumbnail: bytes) -> None:
        """Keep what `copy` gave elsewhere."""
        digest = digest_of(data)
        for path, content in (
            (self._file(digest, data), data),
            (self.thumbnail(digest), thumbnail),
        ):
            if not path.exists():
                _write(path, content)

    def path(self, digest: str) -> Path | None:
        """The file of a digest, or None where it is not kept here."""
        if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            return None
        found = [p for p in self._folder(digest).glob(f"{digest}.*") if ".thumb." not in p.name]
        return found[0] if found else None

    def holds(self, digest: str) -> bool:
        """Whether the picture of `digest` and its thumbnail are stored."""
        return self.path(digest) is not None and self.thumbnail(digest).exists()

    def thumbnail(self, digest: str) -> Path:
        return self._folder(digest) / f"{digest}.thumb.jpg"

    def remove(self, digest: str) -> None:
        for path in self._folder(digest).glob(f"{digest}.*"):
            path.unlink(missing_ok=True)

    def _file(self, digest: str, data: bytes) -> Path:
        return self._folder(digest) / f"{digest}{_suffix(data)}"

    def _folder(self, digest: str) -> Path:
        return self.root / digest[:2]


_MAGIC = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tiff"),
    (b"MM\x00*", ".tiff"),
    (b"P5", ".ppm"),
    (b"P6", ".ppm"),
)


def _suffix(data: bytes) -> str:
    """The suffix that the content, not the name, calls for: a browser is served by it."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), ".bin")


def _write(path: Path, data: bytes) -> None:
    """Write through a temporary file, so that a kill never leaves half a picture under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as handle:
        handle.write(data)
    Path(handle.name).replace(path)
