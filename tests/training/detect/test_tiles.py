"""Boxes too small in whole pictures are learned from tiles, and judged on whole pictures as these are answered."""

from pathlib import Path

import numpy as np
import pytest

import medloupe
from discs import LARGE, draw_cells, write_cells
from medloupe.cli.console import print_card
from medloupe.data.records import Box, Dataset, Record
from medloupe.metrics.matching import compute_iou
from medloupe.model.tiling import LearnedSizes
from medloupe.serving.engine.checkup import CheckUp
from medloupe.training.detect import activations, loop, tiles
from medloupe.training.detect import boxed as boxed_sets
from medloupe.training.detect.activations import TileCut
from medloupe.training.detect.boxed import choose_input_size, collect_boxes
from medloupe.training.detect.loop import Found
from medloupe.training.detect.targets import NEITHER, draw_targets, mark_cut
from medloupe.training.detect.tiles import TiledPictures, plan_tiles
from medloupe.training.tune.views import Symmetry


def collected(side, given, pictures=12, longest=None):
    """Pictures of `given` (w, h), or of such by number, each with twenty boxes of `side` pixels on a grid."""
    sizes = np.array([given(i) if callable(given) else given for i in range(pictures)])
    records = []
    for i, (w, h) in enumerate(sizes):
        own = side(i) if callable(side) else side
        boxes = [Box("cell", w * (0.05 + 0.09 * (k % 10)), h * (0.2 + 0.5 * (k // 10)), own, own) for k in range(20)]
        boxes += [Box("cell", 1, 1, longest, longest)] * 3 if longest else []
        records.append(Record(id=str(i), image=np.zeros((8, 8), np.uint8), boxes=tuple(boxes), labels={"cell": 1}))
    data = Dataset(name="d", root=Path("d"), records=tuple(records), labels=("cell",), task="detection", reader="x")
    boxed = collect_boxes(data, sizes)
    return boxed, choose_input_size(boxed, ("cell",))[0]


def plan(boxed, size):
    return plan_tiles(boxed, np.arange(len(boxed.pictures)), ("cell",), size)


def test_tiles_are_cut_where_boxes_are_tiny_in_the_whole_and_it_is_said_why():
    boxed, size = collected(10, (3000, 2000))
    made = plan(boxed, size)
    assert made is not None
    assert made.stride == 4 and made.size == 320
    assert made.learned.zoom == pytest.approx(3000 / 320, abs=0.01), "a pixel of the picture is one of the tile"
    assert "too small to be found" in made.why and "overlapping tiles of 320 pixels" in made.why
    read = LearnedSizes.from_card({"detection": {"learned": made.described}}, made.size)
    assert read == made.learned, "answers lay the tiles that were learned from"
    assert read.sides["cell"] == pytest.approx((10, 10, 10), abs=0.1)


@pytest.mark.parametrize(
    ("side", "given", "longest"),
    [
        (50, (3000, 2000), None),  # large enough in the whole
        (5, (600, 400), None),  # no more pixels than are looked at
        (10, (3000, 2000), 900),  # the longest would be whole in no tile
    ],
)
def test_pictures_are_learned_from_as_a_whole_elsewhere(side, given, longest):
    boxed, size = collected(side, given, longest=longest)
    assert plan(boxed, size) is None


def test_boxes_of_some_size_are_enlarged_a_little_so_that_training_is_quick():
    made = plan(*collected(15, (4000, 4000)))
    assert made is not None
    assert made.stride == 8 and made.learned.tile == pytest.approx(320 * 15 / 18, abs=0.5)


def test_tiles_keep_their_pixels_where_things_do_and_their_share_elsewhere():
    same = plan(*collected(10, lambda i: (2000 + 200 * i, 2000)))
    assert same is not None and same.learned.in_pixels
    assert 4000 / same.learned.usual_zoom(4000, 2000) == pytest.approx(2000 / same.learned.usual_zoom(2000, 2000))
    share = plan(*collected(lambda i: (2000 + 200 * i) / 250, lambda i: (2000 + 200 * i, 2000)))
    assert share is not None and not share.learned.in_pixels
    assert share.learned.usual_zoom(4000, 2000) == share.learned.usual_zoom(2200, 2000) == share.learned.zoom
    assert 300 / share.learned.usual_zoom(300, 200) == pytest.approx(share.learned.tile), "none is enlarged further"


def test_so_many_tiles_are_cut_as_can_be_learned_from():
    made = plan(*collected(10, (4000, 4000), pictures=40))
    assert made is not None
    tiles = sum(len(made.lay(4000, 4000).corners) for _ in range(40))
    assert tiles * made.size**2 <= 4e8 and made.learned.zoom < 12


def test_a_box_that_a_tile_cuts_is_learned_where_most_of_it_is_seen_and_says_nothing_elsewhere():
    tile = TileCut(corner=np.array([100.0, 0.0]), span=100.0, width=1000, height=100)
    given = np.array([[90, 10, 110, 30], [92, 40, 112, 60], [85, 70, 105, 90], [0, 0, 90, 90]], np.float32)
    boxes, labels = tile.boxes_in(given, np.array([0, 1, 1, 0]), 200)
    np.testing.assert_allclose(boxes, [[0, 20, 20, 60], [0, 80, 24, 120], [0, 140, 10, 180]])
    assert labels.tolist() == [0, 1, mark_cut(np.array([1]))[0]], "half and more; a quarter; nothing of the last"
    drawn = draw_targets(boxes, labels, 2, 200, 4)
    assert (drawn.heat[1, 35:45, :3] == NEITHER).all() and drawn.heat[0, 40, 1] < NEITHER
    assert (drawn.heat == 1).sum() == 2 and (drawn.weight[35:45] == 0).all()


def test_views_of_a_tile_are_full_of_the_picture_and_what_they_cut_is_not_taken_for_nothing():
    rng = np.random.default_rng(0)
    pixels, rows = draw_cells(rng, 60, (1000, 300))
    boxes = np.column_stack([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:]]).astype(np.float32)
    tile = TileCut(corner=np.array([300.0, 60.0]), span=160.0, width=1000, height=300)
    given = activations.BoxedPicture(picture=pixels, boxes=boxes, labels=rows[:, 0].astype(int), tile=tile)
    everywhere = Symmetry(mirror=True, turn=True)
    seen, size = activations._make_tile_views(activations.FullPictures(), given, 320, everywhere, 12, rng)
    assert size == (160, 160) and len(seen) == 12
    marked = 0
    for view in seen:
        assert (view.pixels[8:-8, 8:-8].max(2) > 0).mean() > 0.99, "no black border within a picture"
        sides = view.boxes[:, 2:] - view.boxes[:, :2]
        inside = (view.boxes[:, :2] > 0.5).all(1) & (view.boxes[:, 2:] < 319.5).all(1)
        marked += (view.labels < 0).sum()
        assert (view.labels[inside] >= 0).all() and (sides[view.labels < 0].min(1, initial=99) < 20).all()
        red = (view.pixels[..., 0].astype(int) - view.pixels[..., 1] > 65) & (view.pixels[..., 0] > 80)
        for x0, y0, x1, y1 in view.boxes.round().astype(int):
            red[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = False
        assert red.sum() < 6, "every cell that is seen has its box, if only a marked one"
    assert marked > 0


def test_what_is_neither_costs_nothing():
    torch = pytest.importorskip("torch")
    from medloupe.training.detect.objective import detection_loss

    boxes, labels = np.array([[8, 8, 40, 40], [60, 8, 90, 40]], np.float32), np.array([0, -1])
    losses = []
    for said in (-6.0, 6.0):  # sure that there is nothing, and that there is something
        heat = torch.full((1, 1, 24, 24), -6.0)
        heat[0, 0, 3:9, 16:22] = said
        t = draw_targets(boxes, labels, 1, 96, 4)
        targets = tuple(torch.from_numpy(v)[None] for v in (t.heat, t.box, t.weight))
        losses.append(float(detection_loss(heat, torch.ones(1, 4, 24, 24), torch.zeros(1, 1, 24, 24), targets, 4)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_found_in_tiles_is_joined_to_the_boxes_of_the_picture():
    boxed, size = collected(10, (3000, 2000), pictures=4)
    made = plan(boxed, size)
    assert made is not None
    tiled = TiledPictures.cut(boxed, np.array([0, 2]), made, 0)
    assert set(tiled.row.tolist()) == {0, 2}
    filled = [len(p.tile.boxes_in(p.boxes, p.labels, 320)[0]) > 0 for p in tiled.pictures]
    assert all(tiled.taught[filled]) and tiled.taught.sum() <= 2 * sum(filled)
    assert set(tiled.tiles_of(np.array([2]), taught=True)) < set(np.flatnonzero(tiled.row == 2))

    def find(tiles):
        for t in tiles:
            picture = tiled.pictures[t]
            boxes, labels = picture.tile.boxes_in(picture.boxes, picture.labels, 320)
            yield Found(boxes=boxes, scores=np.full(len(boxes), 0.9), labels=np.where(labels < 0, -1 - labels, labels))

    (joined,) = tiled.join(np.array([2]), lambda tiles: list(find(tiles)))
    truth = boxed.pictures[2].boxes
    assert len(joined.boxes) == len(truth)
    assert compute_iou(truth, joined.boxes).max(1).min() > 0.95


@pytest.mark.slow
def test_tiny_cells_on_large_pictures_are_found_by_what_learned_from_tiles(tmp_path, monkeypatch, capsys):
    """At half of the usual sizes, for speed. Learned as a whole, where cells measure four pixels, mAP50 is .67."""
    pytest.importorskip("torch")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(loop, "STEPS", 110)
    monkeypatch.setattr(activations, "VIEWS", (2, 2))
    monkeypatch.setattr(tiles, "TILE", 160)
    monkeypatch.setattr(boxed_sets, "SIZES", (224, 320))
    made = medloupe.train(medloupe.read(write_cells(tmp_path / "cells")), name="tiled")
    assert made.card["metrics"]["map50"]["value"] > 0.85
    assert made.card["detection"]["learned"]["tile"]["zoom"] > 7 and made.card["backbone"]["input_size"] == 160
    assert any("overlapping tiles of" in note for note in made.card["data"]["notes"])
    assert any("The network in its file looks at one tile" in limit for limit in made.card["limits"])
    print_card(made)
    assert capsys.readouterr().out.count("overlapping tiles of") == 1, "it is said where it was trained"
    assert CheckUp.of(made).full_above == 0, "a server decodes each picture in full"
    assert (made.card["split"]["train"], made.card["split"]["groups"]) == (8, 4), "pictures, not tiles"
    pixels, rows = draw_cells(np.random.default_rng(77), 40)
    answer = made.predict(pixels)
    assert answer.state == "answered" and answer.tiling.code == "learned" and answer.tiling.tiles > 9
    marked = [b for b in answer.boxes if b.score >= answer.lines[b.label]]
    found = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in marked])
    truth = np.column_stack([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:]])
    assert (compute_iou(truth, found).max(1) > 0.5).mean() > 0.9, "of a picture that nothing has seen"
    assert medloupe.load(made.onnx).predict(pixels).boxes == answer.boxes
    empty = made.predict(np.clip(np.random.default_rng(1).normal(60, 8, (*LARGE[::-1], 3)), 0, 255).astype("u1"))
    assert not [b for b in empty.boxes if b.score >= empty.lines[b.label]], "a picture without cells has none"
