"""Paper: the sheet in a picture that also shows what the sheet lies on."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnmnist.data.ink import Floats, shrink

SIDE = 256  # pixels of the longer side of the picture in which the sheet is searched
STROKE = 15  # pixels of it; the median over them removes strokes
STEP = 0.03  # least difference of neighbouring pixels at the edge of a sheet, where 1 is white minus black
SHEET = 0.15, 0.97  # of the picture, least and most
CONVEX = 0.9  # of its convex hull is a sheet, at least
RECTANGULAR = 0.85  # of the rectangle around it is a sheet, at least
ALIKE = 0.08  # difference of colours of one paper
CORNER = 0.03  # of a sheet's outline: how exact its corners are; of the picture: how far inside they are
DARKER = 0.5  # of a sheet's light, at most, is what surrounds it; anything lighter is the sheet in a shadow
EDGE = 7  # pixels around a sheet: its shadow, and corners that the median rounds off

Mask = NDArray[np.uint8]


def cut_to_paper(pixels: Floats) -> tuple[Floats, tuple[int, int]]:
    """Cut a picture, float32 (height, width, 3) in [0, 1], to the sheet of paper in it, if there is one.

    Returns:
        The cut picture, in which the paper continues to the corners, and its left and top in pixels.
    """
    sheet = _find_sheet(pixels)
    if sheet is None:
        return pixels, (0, 0)
    height, width = pixels.shape[:2]
    sheet = cv2.erode(sheet, np.ones((EDGE, EDGE), np.uint8), borderValue=1)
    sheet = cv2.resize(sheet, (width, height), interpolation=cv2.INTER_NEAREST)
    left, top, width, height = cv2.boundingRect(sheet)
    box = np.s_[top : top + height, left : left + width]
    inside, pixels = sheet[box].astype(np.float32)[..., None], pixels[box]
    sigma = max(width, height) / 30
    weight = cv2.GaussianBlur(inside, (0, 0), sigma)[..., None] + 1e-4
    mean = pixels[sheet[box] > 0].mean(axis=0)
    paper = (cv2.GaussianBlur(pixels * inside, (0, 0), sigma) + 1e-4 * mean) / weight
    return np.where(inside > 0, pixels, paper).astype(np.float32), (left, top)


def _find_sheet(pixels: Floats) -> Mask | None:
    """The largest even area that is a sheet, uint8 (height, width), 1 inside; None if there is none."""
    small = shrink(pixels, SIDE)
    if min(small.shape[:2]) < 4 * STROKE:
        return None
    smooth = cv2.medianBlur(np.rint(small * 255).astype(np.uint8), STROKE).astype(np.float32) / 255
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((steps < STEP).astype(np.uint8), connectivity=4)
    areas = boxes[1:, cv2.CC_STAT_AREA]
    for label in 1 + np.argsort(-areas)[: np.count_nonzero(areas > SHEET[0] / 2 * labels.size)]:
        contours, _ = cv2.findContours(
            (labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        contour = max(contours, key=cv2.contourArea)
        hull = cv2.convexHull(contour)
        area, (_, (width, height), _) = cv2.contourArea(hull), cv2.minAreaRect(hull)
        sheet: Mask = cv2.fillConvexPoly(np.zeros(labels.shape, np.uint8), hull, 1)
        straight = cv2.contourArea(contour) > CONVEX * area > CONVEX * RECTANGULAR * width * height
        corners = cv2.approxPolyDP(hull, CORNER * cv2.arcLength(hull, True), True)[:, 0] / sheet.shape[::-1]
        has_corner = bool(((corners > CORNER) & (corners < 1 - CORNER)).all(axis=1).any())
        if straight and SHEET[0] <= sheet.mean() <= SHEET[1] and _is_on_something(sheet, smooth, has_corner):
            return sheet
    return None


def _is_on_something(sheet: Mask, smooth: Floats, has_corner: bool) -> bool:
    """Tell a sheet on a desk from a part of one paper, inside of a stroke or beside a shadow."""
    inside, outside = (np.median(smooth[sheet == each], axis=0) for each in (1, 0))
    if (np.abs(smooth[sheet == 0] - inside).max(axis=1) < ALIKE).mean() > 0.25:
        return False
    return has_corner or bool(outside.sum() < DARKER * inside.sum() and sheet.mean() > 0.5)
