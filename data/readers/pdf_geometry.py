"""Rectangles on a PDF page, and the transform from PDF coordinates to them.

Coordinates are in points, with the origin at the top left of the displayed page and y downwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pypdfium2 as pdfium

__all__ = ["PageTransform", "Rectangle", "page_transform"]

_MAX_SLANT_DEGREES = 6.0  # type at a larger angle is no horizontal or vertical line


class Rectangle(NamedTuple):
    """A rectangle on the page, in points from the top left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The width in points; negative if the rectangle is empty."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The height in points; negative if the rectangle is empty."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """The area in square points; 0 if the rectangle is empty."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def union(self, other: Rectangle) -> Rectangle:
        """Return the smallest rectangle around both."""
        return Rectangle(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def intersection(self, other: Rectangle) -> Rectangle:
        """Return the part inside `other`; its area is 0 if they do not overlap."""
        return Rectangle(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def expanded(self, margin: float) -> Rectangle:
        """Return the rectangle with `margin` points more on each side."""
        return Rectangle(
            self.left - margin, self.top - margin, self.right + margin, self.bottom + margin
        )

    def touches(self, other: Rectangle) -> bool:
        """Return whether the two rectangles overlap or share an edge."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )

    def contains_centre(self, other: Rectangle) -> bool:
        """Return whether the centre of `other` lies inside."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def turned(self, turn: int, page: Rectangle) -> Rectangle:
        """Return a rectangle of a turned frame on the page. `turn` is clockwise, in degrees.

        The frame is the page seen by a reader who turns it so that the type stands upright.
        """
        left, top, right, bottom = self
        match turn:
            case 90:
                return Rectangle(page.width - bottom, left, page.width - top, right)
            case 180:
                return Rectangle(
                    page.width - right, page.height - bottom, page.width - left, page.height - top
                )
            case 270:
                return Rectangle(top, page.height - right, bottom, page.height - left)
            case _:
                return self

    def turned_back(self, turn: int, page: Rectangle) -> Rectangle:
        """Return a rectangle of the page in the frame of type that is turned clockwise."""
        left, top, right, bottom = self
        match turn:
            case 90:
                return Rectangle(top, page.width - right, bottom, page.width - left)
            case 180:
                return self.turned(180, page)
            case 270:
                return Rectangle(page.height - bottom, left, page.height - top, right)
            case _:
                return self

    def fractions_of(self, page: Rectangle) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom as fractions of the page."""

        def clamp(value: float) -> float:
            return round(min(max(value, 0.0), 1.0), 5)

        return (
            clamp(self.left / page.width),
            clamp(self.top / page.height),
            clamp(self.right / page.width),
            clamp(self.bottom / page.height),
        )


class PageTransform(NamedTuple):
    """Converts PDF page coordinates (origin bottom left, before /Rotate) to those of `Rectangle`.

    The fields are the page's box in PDF coordinates and its rotation in degrees.
    """

    left: float
    bottom: float
    right: float
    top: float
    rotation: int

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point."""
        match self.rotation:
            case 90:
                return y - self.bottom, x - self.left
            case 180:
                return self.right - x, y - self.bottom
            case 270:
                return self.top - y, self.right - x
            case _:
                return x - self.left, self.top - y

    def rectangle(self, left: float, bottom: float, right: float, top: float) -> Rectangle:
        """Convert a rectangle."""
        x0, y0 = self.point(left, bottom)
        x1, y1 = self.point(right, top)
        return Rectangle(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    def turn(self, a: float, b: float) -> int:
        """Return the clockwise quarter turn, in degrees, of type with matrix entries `a` and `b`.

        Returns -1 for any other angle.
        """
        x0, y0 = self.point(0, 0)
        x1, y1 = self.point(a, b)
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 360
        nearest = round(angle / 90) * 90
        return nearest % 360 if abs(angle - nearest) <= _MAX_SLANT_DEGREES else -1


def page_transform(page: pdfium.PdfPage) -> tuple[PageTransform, Rectangle]:
    """Return the coordinate transform of a page, and its displayed rectangle.

    Raises `PdfiumError` if the page has no area or an absurd size.
    """
    left, bottom, right, top = page.get_bbox()
    transform = PageTransform(left, bottom, right, top, page.get_rotation())
    box = transform.rectangle(left, bottom, right, top)
    if not (0 < box.width < 1e6 and 0 < box.height < 1e6):
        raise pdfium.PdfiumError(f"the page measures {box.width:g} x {box.height:g} points")
    return transform, box
