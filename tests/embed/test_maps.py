import numpy as np
import onnx
import pytest

from medloupe.embed.maps import expose_maps, find_stage_maps, resize_backbone
from medloupe.embed.registry import backbone
from medloupe.errors import BackboneError
from medloupe.graphs.session import open_session, run


@pytest.fixture(scope="module")
def home_for_maps(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_the_shared_network_has_maps_of_four_resolutions(home_for_maps):
    sized = resize_backbone(backbone(), 288)
    graph = onnx.load(sized.path)
    found = find_stage_maps(graph, 288)
    assert found.names == ("block2_sum", "block4_sum", "block10_sum", "block15_project")
    maps = run(open_session(expose_maps(graph, found.names)), found.names, np.zeros((1, 288, 288, 3), np.uint8))
    assert [m.shape[1:] for m in maps] == [
        (c, 288 // s, 288 // s) for c, s in zip(found.channels, (4, 8, 16, 32), strict=True)
    ]


def test_another_size_gives_another_backbone_whose_embedding_is_the_mean_of_its_map(home_for_maps):
    own = backbone()
    sized = resize_backbone(own, 256)
    assert sized.card.input_shape == (256, 256, 3)
    assert sized.sha256 != own.sha256
    pixels = np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3), np.uint8)
    embedding, places = run(open_session(sized.path), ["embedding", "map"], pixels)
    assert places.shape[2:] == sized.card.places == (8, 8)
    np.testing.assert_allclose(places.mean((2, 3)), embedding, atol=1e-4)
    assert resize_backbone(own, 224) is own


def test_sizes_that_the_strides_do_not_divide_are_refused(home_for_maps):
    with pytest.raises(BackboneError, match="multiple of 32"):
        resize_backbone(backbone(), 250)
