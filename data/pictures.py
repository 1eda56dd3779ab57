"""Open untrusted pictures within limits, and store pictures by their content.

No other module of the package opens a picture from outside.
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
    "digest_of",
    "open_picture",
    "picture_size",
    "read_description",
]

MAX_PIXELS = 64_000_000  # 192 MB decoded: any scanned page, but no decompression bomb
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"}
)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_THUMBNAIL_PIXELS = 320  # on the longer side
_EXIF_DESCRIPTION = 0x010E
_IPTC_CAPTION = (2, 120)
# Cameras and programs write these texts into every picture.
_CAMERA_NOISE = re.compile(r"\W*|.*digital (still )?camera.*|created with .*|untitled", re.I)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex: the name of a picture in the asset folder."""
    return hashlib.sha256(data).hexdigest()


def open_picture(source: Path | bytes, name: str = "") -> Image.Image:
    """Decode a picture to RGB: turned upright by its EXIF orientation, transparency on white.

    `name` stands for the picture in error messages. Raises `BadInput` if the file is not a picture,
    is broken, or has more than `MAX_PIXELS` pixels. The size is checked before pixels are decoded.
    """
    with _opened(source, name) as picture:
        return _on_white(ImageOps.exif_transpose(picture) or picture)


def picture_size(source: Path | bytes, name: str = "") -> tuple[int, int]:
    """Return the width and height of a picture in pixels. Only the header is read.

    Raises `BadInput` as `open_picture` does, except for broken pixels.
    """
    with _opened(source, name) as picture:
        return picture.size


def read_description(source: Path, name: str = "") -> str:
    """Return the description inside a picture file: its IPTC caption, or else that of EXIF.

    People write IPTC captions, programs often write EXIF. Only the header is read. Raises
    `BadInput` as `open_picture` does, except for broken pixels.
    """
    with _opened(source, name) as picture:
        exif = Image.Image.getexif(picture)  # picture.getexif() of a PNG would decode the pixels
        descriptions: list[Any] = [
            (IptcImagePlugin.getiptcinfo(picture) or {}).get(_IPTC_CAPTION),
            exif.get(_EXIF_DESCRIPTION),
        ]
    for description in descriptions:
        if isinstance(description, bytes):
            description = description.decode("utf-8", "replace")
        if isinstance(description, str):
            text = " ".join(description.replace("\0", " ").split())
            if not _CAMERA_NOISE.fullmatch(text):
                return text
    return ""


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[ImageFile.ImageFile]:
    """Open a picture without decoding its pixels, and turn the errors of Pillow into `BadInput`."""
    name = name or (str(source) if isinstance(source, Path) else "picture")
    try:
        handle = io.BytesIO(source) if isinstance(source, bytes) else source
        with warnings.catch_warnings():
            # The size is checked below, and warnings about odd metadata do not help the user.
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
        # 16-bit scans: convert() would clip the values instead of scaling them to 8 bits.
        low, high = picture.convert("F").getextrema()
        scale = 255.0 / max(high - low, 1e-6)  # type: ignore[operator]
        return picture.convert("F").point(lambda v: (v - low) * scale).convert("RGB")
    return picture.convert("RGB")


class Assets:
    """A folder of pictures that are named by the SHA-256 digest of their bytes.

    The picture `abcd…` is the file `ab/abcd….png`; its thumbnail is `ab/abcd….thumb.jpg`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, picture: Image.Image) -> str:
        """Store the bytes of a picture file and a thumbnail of `picture`; return the digest."""
        digest = digest_of(data)
        path, thumbnail = self._file(digest, data), self.thumbnail(digest)
        if not path.exists():
            _write(path, data)
        if not thumbnail.exists():
            scale = min(1.0, _THUMBNAIL_PIXELS / max(picture.size))
            width, height = (max(1, round(side * scale)) for side in picture.size)
            small = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
            buffer = io.BytesIO()
            # WebP would save a third of the space but take ten times as long: a fifth of all
            # reading time.
            small.save(buffer, "JPEG", quality=85, subsampling=0)
            _write(thumbnail, buffer.getvalue())
        return digest

    def read(self, digest: str) -> tuple[bytes, bytes]:
        """Return the bytes of a stored picture and of its thumbnail."""
        path = self.path(digest)
        assert path is not None, f"{digest} is not stored"
        return path.read_bytes(), self.thumbnail(digest).read_bytes()

    def put_with_thumbnail(self, data: bytes, thumbnail: bytes) -> None:
        """Store the bytes of a picture and its thumbnail, as `read` of another folder returns."""
        digest = digest_of(data)
        for path, content in (
            (self._file(digest, data), data),
            (self.thumbnail(digest), thumbnail),
        ):
            if not path.exists():
                _write(path, content)

    def path(self, digest: str) -> Path | None:
        """Return the file of a picture, or None if it is not stored."""
        if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            return None
        files = self._folder(digest).glob(f"{digest}.*")
        return next((file for file in files if ".thumb." not in file.name), None)

    def holds(self, digest: str) -> bool:
        """Whether the picture of `digest` and its thumbnail are stored."""
        return self.path(digest) is not None and self.thumbnail(digest).exists()

    def thumbnail(self, digest: str) -> Path:
        """Return the path of a thumbnail, whether or not it exists."""
        return self._folder(digest) / f"{digest}.thumb.jpg"

    def remove(self, digest: str) -> None:
        """Delete a picture and its thumbnail, if they are stored."""
        for path in self._folder(digest).glob(f"{digest}.*"):
            path.unlink(missing_ok=True)

    def _file(self, digest: str, data: bytes) -> Path:
        return self._folder(digest) / f"{digest}{_suffix(data)}"

    def _folder(self, digest: str) -> Path:
        return self.root / digest[:2]


_SUFFIXES_BY_MAGIC = (
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
    """Return the suffix for the content: the server derives the media type from it."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for magic, suffix in _SUFFIXES_BY_MAGIC if data.startswith(magic)), ".bin")


def _write(path: Path, data: bytes) -> None:
    """Write through a temporary file, so that a kill never leaves half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as handle:
        handle.write(data)
    Path(handle.name).replace(path)
