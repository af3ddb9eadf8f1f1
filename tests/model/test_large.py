"""A large picture is looked at in tiles where its things are of the size learned only so, and as a whole elsewhere."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from medloupe.imaging.picture import full_side, whole_picture
from medloupe.metrics.matching import compute_iou
from medloupe.model.large import LargePictures, cut_tile
from medloupe.model.tiling import LearnedSizes

SIZE = 96  # of the fitted picture; those learned from are as large
LOW, HIGH = 8.0, 14.0  # sides of the discs that were learned


class FarIfGreen:
    """Stands in for a novelty: a tile is foreign where most of it is green."""

    def score(self, embedding):
        return embedding[:, 1] / 100


def run(pixels):
    """Find discs as a detector does that has learned small ones: others it knows less well, and does not see whole."""
    rows = np.zeros((len(pixels), 60, 6), np.float32)
    for i, picture in enumerate(pixels):
        parts, n = ndimage.label(picture[..., 0] > 128)
        found = []
        for part in ndimage.find_objects(parts)[:n]:
            (y0, y1), (x0, x1) = ((s.start, s.stop) for s in part)
            side = np.sqrt((y1 - y0) * (x1 - x0))
            if 4 <= side <= 40:
                found.append((x0, y0, x1, y1, 0.9 if LOW - 1 <= side <= HIGH + 1 else 0.3, 0))
        found.sort(key=lambda row: -row[4])
        rows[i, : len(found[:60])] = np.array(found[:60], np.float32).reshape(-1, 6)
    return rows, pixels.reshape(len(pixels), -1, 3).mean(1).astype(np.float32)


def looking(novelty=None, longer=(float(SIZE), float(SIZE))):
    learned = LearnedSizes(size=SIZE, longer_side=longer, sides={"disc": (LOW, 11.0, HIGH)}, longest=15.0)
    return LargePictures(labels=("disc",), lines=np.array([0.5]), learned=learned, novelty=novelty)


def draw(width, height, radius, spacing, seed=0):
    """Draw discs on dark ground; return the picture and their boxes (n, 4)."""
    rng = np.random.default_rng(seed)
    pixels, boxes = np.full((height, width, 3), 30, np.uint8), []
    reach = int(radius) + 2
    for cx in np.arange(spacing / 2, width - spacing / 3, spacing):
        for cy in np.arange(spacing / 2, height - spacing / 3, spacing):
            a, b = cx + rng.uniform(-0.1, 0.1) * spacing, cy + rng.uniform(-0.1, 0.1) * spacing
            left, top = max(0, int(a) - reach), max(0, int(b) - reach)
            part = pixels[top : int(b) + reach, left : int(a) + reach]
            y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
            part[(x - a) ** 2 + (y - b) ** 2 <= radius**2] = (220, 40, 40)
            boxes.append((a - radius, b - radius, a + radius, b + radius))
    return pixels, np.array(boxes)


def look(pixels, how):
    picture = whole_picture(Image.fromarray(pixels))
    full = picture.fit(full_side(picture.width, picture.height))
    boxes, shared = run(picture.fit(SIZE)[None])
    return how.look(full, picture.width, picture.height, boxes[0], shared[0], run)


def test_a_joined_field_is_looked_at_in_tiles_and_each_thing_is_found_once():
    pixels, boxes = draw(700, 500, 5.5, 24)
    seen = look(pixels, looking())
    assert seen.tiling.code == "tiles" and seen.tiling.larger == pytest.approx(700 / 96)
    assert 60 <= seen.tiling.side <= 140
    found = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in seen.boxes if b.score > 0.5])
    iou = compute_iou(found, boxes)
    assert len(found) == len(boxes) and (iou.max(0) > 0.6).all() and (iou.max(1) > 0.6).all()
    assert seen.best == pytest.approx([0.9])


def test_the_same_field_in_more_pixels_is_looked_at_as_a_whole():
    small, _ = draw(96, 72, 5.5, 24)
    pixels = np.asarray(Image.fromarray(small).resize((960, 720), Image.Resampling.BICUBIC))
    seen = look(pixels, looking())
    assert seen.tiling.code == "whole" and seen.boxes is None and seen.tiling.tiles == 1


def test_a_joined_field_in_more_pixels_is_looked_at_at_the_scale_of_its_things():
    pixels, boxes = draw(700, 500, 5.5, 24)
    seen = look(np.asarray(Image.fromarray(pixels).resize((1400, 1000), Image.Resampling.BICUBIC)), looking())
    assert seen.tiling.code == "tiles" and 130 <= seen.tiling.side <= 280
    assert sum(b.score > 0.5 for b in seen.boxes) == len(boxes)


@pytest.mark.parametrize("shape", [(900, 1200, 3), (30, 5000, 3), (12_000, 30, 3)])
def test_an_empty_picture_is_looked_at_as_a_whole_and_it_is_said_that_nothing_told_its_scale(shape):
    seen = look(np.full(shape, 30, np.uint8), looking())
    assert seen.tiling.code == "unsure" and "too small to be found" in seen.tiling.text


def test_of_foreign_tiles_nothing_is_told_and_the_middle_one_judges_the_picture():
    pixels, _ = draw(700, 500, 5.5, 24)
    pixels[:, :200][pixels[:, :200, 0] < 100] = (20, 240, 20)
    seen = look(pixels, looking(FarIfGreen()))
    assert seen.tiling.code == "tiles" and 0 < seen.tiling.foreign < seen.tiling.tiles
    assert min(b.x for b in seen.boxes) > 100 and "unlike what was learned from" in seen.tiling.text
    assert FarIfGreen().score(seen.embedding[None])[0] <= 1, "most tiles are of its kind"
    green = look(np.where(pixels < 100, np.array([20, 240, 20], np.uint8), pixels), looking(FarIfGreen()))
    assert green.boxes is None, "where all is foreign the picture is judged as a whole"


def test_thousands_of_boxes_on_very_many_tiles_are_bounded():
    pixels, boxes = draw(4096, 2000, 5.5, 24)
    seen = look(pixels, looking(longer=(48.0, 48.0)))
    assert seen.tiling.tiles <= 256 and len(boxes) > 10_000
    assert seen.tiling.left_out == 0 and len(seen.boxes) <= 20_000


def test_a_tile_of_the_whole_picture_has_the_pixels_of_the_fitted_picture():
    rng = np.random.default_rng(0)
    for width, height in ((300, 200), (200, 301), (64, 64)):
        picture = whole_picture(Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)))
        full = picture.fit(max(width, height))
        side = float(max(width, height))
        corner = np.array([(width - side) / 2, (height - side) / 2])
        tile = cut_tile(full, width, height, corner, np.array([side, side]), SIZE)
        off = np.abs(tile.astype(int) - picture.fit(SIZE).astype(int))
        assert off.mean() < 1.5, (width, height)


def test_a_tile_lies_where_it_is_told():
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[100:200, 300:400] = 255
    tile = cut_tile(pixels_to_square(pixels), 600, 400, np.array([250.0, 50.0]), np.array([200.0, 200.0]), SIZE)
    rows, columns = np.nonzero(tile[..., 0] > 128)
    assert rows.min() == columns.min() == 24 and rows.max() == columns.max() == 71


def pixels_to_square(pixels):
    return whole_picture(Image.fromarray(pixels)).fit(max(pixels.shape[:2]))
