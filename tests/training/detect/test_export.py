import numpy as np
import pytest

from medloupe.graphs.session import open_session, run
from medloupe.modelfile.boxes import box_gap

torch = pytest.importorskip("torch")

CHANNELS = (6, 8, 10, 12)
NAMES = ("one", "two", "three", "four")
SIZE = 96


def make_head(stride, seed=0):
    from medloupe.training.detect.network import build_head

    rng = np.random.default_rng(seed)
    mean, scale = ([rng.uniform(0.5, 2, c).astype(np.float32) for c in CHANNELS] for _ in range(2))
    head = build_head(CHANNELS, 3, mean, scale, stride, seed)
    with torch.no_grad():
        for p in head.parameters():
            p.add_(0.2 * torch.randn_like(p))
        head.train()
        for _ in range(3):
            head(make_maps(rng, 4))
    return head.eval()


def make_maps(rng, n):
    sides = [SIZE // s for s in (4, 8, 16, 32)]
    return [
        torch.tensor(rng.normal(1, 1, (n, c, s, s)).astype(np.float32)) for c, s in zip(CHANNELS, sides, strict=True)
    ]


def test_channels_are_left_out_in_training_alone():
    head, maps = make_head(8), make_maps(np.random.default_rng(5), 2)
    with torch.no_grad():
        assert torch.equal(head(maps)[0], head(maps)[0])
        head.train()
        assert not torch.equal(head(maps)[0], head(maps)[0])


@pytest.mark.parametrize("stride", [4, 8])
def test_the_graph_finds_what_the_head_finds(stride):
    from medloupe.training.detect.calibrate import calibrate_scores
    from medloupe.training.detect.export import build_detector_graph, round_weights
    from medloupe.training.detect.objective import average_boxes, boxes_of
    from medloupe.training.detect.peaks import find_peaks

    head, maps = make_head(stride), make_maps(np.random.default_rng(5), 3)
    with torch.no_grad():
        before = head(maps)
        round_weights(head)
        heat, sides, quality = head(maps)
    assert float((torch.sigmoid(heat) - torch.sigmoid(before[0])).abs().max()) < 0.02
    calibration = np.array([[1.5, 1, 0.5], [-1, 0, 1]], np.float32)
    graph = build_detector_graph(head, NAMES, CHANNELS, SIZE, 60, calibration, 0.4)
    feed = {name: m.numpy() for name, m in zip(NAMES, maps, strict=True)}
    (told,) = run(open_session(graph.SerializeToString()), ["boxes"], feed)
    assert told.shape == (3, 60, 6)
    own = np.zeros_like(told)
    scores = (torch.sigmoid(heat) ** 0.6 * torch.sigmoid(quality) ** 0.4).numpy()
    averaged = average_boxes(torch, heat, boxes_of(torch, sides, stride))
    for i, boxes in enumerate(averaged.numpy()):
        found, s, k = find_peaks(scores[i], boxes, 60)
        own[i, : len(s), :4], own[i, : len(s), 4], own[i, : len(s), 5] = found, calibrate_scores(s, k, calibration), k
    assert (own[:, :, 4] > 0.05).sum() > 30
    assert box_gap(told, own) < 1e-3
    assert (np.diff(told[:, :, 4], axis=1) <= 0).all()
    assert not told[told[:, :, 4] == 0].any()


def test_targets_are_highest_at_the_middle_and_small_boxes_win():
    from medloupe.training.detect.targets import draw_targets

    boxes = np.array([[8, 8, 76, 76], [34, 34, 50, 50], [90, 90, 90.5, 90.2]], np.float32)
    drawn = draw_targets(boxes, np.array([0, 1, 2]), 3, 96, 4)
    for k, (x, y) in enumerate([(10, 10), (10, 10), (22, 22)]):
        assert drawn.heat[k].max() == drawn.heat[k, y, x] == 1
    np.testing.assert_array_equal(drawn.box[:, 10, 10], boxes[1])
    np.testing.assert_array_equal(drawn.box[:, 10, 6], boxes[0])
    assert drawn.weight[0, 0] == 0
    assert drawn.heat.shape == (3, 24, 24)


@pytest.mark.parametrize("stride", [4, 8])
def test_more_places_than_the_middle_learn_a_small_box(stride):
    from medloupe.training.detect.targets import draw_targets

    drawn = draw_targets(np.array([[40, 40, 50, 50]], np.float32), np.array([0]), 1, 96, stride)
    assert (drawn.weight > 0).sum() == 9
    beside = drawn.heat[0][(drawn.heat[0] < 1) & (drawn.weight > 0)]
    assert beside.max() < 0.2  # the middle alone is a peak
    weights = np.sort(drawn.weight[drawn.weight > 0])
    assert weights[-1] < 3 * weights[-2]
    assert drawn.weight.sum() == pytest.approx(np.log(100 + np.e), rel=1e-5)


def test_the_loss_falls_where_the_head_says_what_is_wanted():
    from medloupe.training.detect.objective import detection_loss
    from medloupe.training.detect.targets import draw_targets

    drawn = draw_targets(np.array([[20, 20, 60, 60]], np.float32), np.array([0]), 1, 96, 4)
    targets = tuple(torch.tensor(v)[None] for v in (drawn.heat, drawn.box, drawn.weight))
    at = (np.arange(24) + 0.5) * 4
    sides = np.stack(
        [
            at[None] - 20 + 0 * at[:, None],
            at[:, None] - 20 + 0 * at,
            60 - at[None] + 0 * at[:, None],
            60 - at[:, None] + 0 * at,
        ]
    )
    right = torch.tensor(np.clip(sides, 0.1, None)[None].astype(np.float32))
    heat = torch.full((1, 1, 24, 24), -6.0)
    good = heat.clone()
    good[drawn.heat[None] > 0.99] = 6
    quality = torch.full((1, 1, 24, 24), 6.0)
    best = float(detection_loss(good, right, quality, targets, 4))
    assert best < float(detection_loss(heat, right, quality, targets, 4))
    assert best < float(detection_loss(good, right * 1.5, quality, targets, 4))
    nothing = tuple(torch.zeros_like(t) for t in targets)
    assert np.isfinite(float(detection_loss(heat, right, quality, nothing, 4)))
