"""Cropping a face to the square of a detector, and mapping its result back into the image."""

import math

import numpy as np
import pytest
from factories import Oracle, face_labels, oracle_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import map_coordinates

from wsdl.data.images import resize_image
from wsdl.detectors.prediction import Prediction
from wsdl.evaluation.metrics import iou, upsample
from wsdl.inference.face_crop import FaceCrop, crop_face, crop_whole, map_to_image, resize_to_square, square_windows
from wsdl.inference.image_input import InputImage
from wsdl.inference.localize import Localizer, crop_image
from wsdl.parsing.align import EYE_POSITIONS, NoFaceError, Similarity

SIZE = 128


class Finder(Oracle):
    size = 200


class GreenIsFake:
    """A detector whose map is 1 on green pixels."""

    input_size = SIZE
    note = ""

    def predict(self, images):
        maps = (images[..., 1] > 200).astype(np.float32)
        return Prediction(maps, maps.mean(axis=(1, 2)))


def scene(width, height, middle, apart, tilt):
    """An image of a drawn face as `Oracle` reads it (the red channel contains the labels)."""
    half = apart / 2 * np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt))])
    eyes = np.stack([middle - half, middle + half])
    side = max(width, height)
    return oracle_image(face_labels(side, eyes, apart / 6))[:height, :width].copy()


@settings(max_examples=25, deadline=None)
@given(
    x=st.integers(150, 450), y=st.integers(150, 230), apart=st.integers(60, 110), tilt=st.integers(-30, 30),
    dx=st.integers(-50, 20), dy=st.integers(-30, 50),
)  # fmt: skip
def test_a_fake_region_is_localised_at_its_place(x, y, apart, tilt, dx, dy):
    pixels = scene(600, 400, np.array([x, y], float), apart, tilt)
    truth = np.zeros((400, 600), np.uint8)
    truth[y + dy : y + dy + 50, x + dx : x + dx + 50] = 1
    pixels[truth == 1, 1] = 255
    result = Localizer("green", GreenIsFake(), Finder(), SIZE)(InputImage(Image.fromarray(pixels)))
    assert not any("whole image" in warning for warning in result.warnings)
    assert result.map.shape == result.analysed.shape == (400, 600)
    found = (result.map > 0.5) & result.analysed
    assert iou(found, truth * result.analysed) > 0.8
    middle_found, middle_true = (np.argwhere(where).mean(axis=0) for where in (found, truth * result.analysed))
    np.testing.assert_allclose(middle_found, middle_true, atol=1.5)
    assert result.marked == pytest.approx(found.sum() / result.analysed.sum())
    assert (result.map[~result.analysed] == 0).all()


def test_a_face_at_the_end_of_a_wide_image_is_found():
    pixels = scene(900, 300, np.array([780.0, 140.0]), 70, 0)
    frame = crop_face(Image.fromarray(pixels), Finder(), SIZE)
    expected = frame.to_image(EYE_POSITIONS * SIZE).mean(axis=0)
    np.testing.assert_allclose(expected, [780, 140], atol=3)
    with pytest.raises(NoFaceError):
        crop_face(Image.fromarray(pixels[:, :300]), Finder(), SIZE)


def test_an_aligned_face_is_not_resampled():
    """Rotation by a degree would remove the traces that a detector looks for."""
    side = 2 * SIZE
    eyes = EYE_POSITIONS * side + np.array([[4, 3], [4, 3]])
    labels = face_labels(side, eyes, 8)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    pixels = oracle_image(labels)
    pixels[..., 1:] = noise[..., 1:]
    image = Image.fromarray(np.pad(pixels, ((0, 0), (40, 60), (0, 0))))
    frame = crop_face(image, Finder(), SIZE)
    assert np.array_equal(frame.square, resize_image(image.crop((50, 0, 50 + side, side)), SIZE))
    np.testing.assert_allclose(frame.corners, [[50, 0], [50 + side, 0], [50 + side, side], [50, side]])
    map_ = np.random.default_rng(1).random((15, 15), np.float32)
    placed, analysed = map_to_image(map_, frame)
    assert analysed.sum() == side * side
    assert analysed[:, 50 : 50 + side].all()
    assert np.abs(placed[:, 50 : 50 + side] - upsample(map_, (side, side))).max() < 0.05


@pytest.mark.parametrize("size", [128, 200, 257, 1000])
def test_square_images_are_resized_as_by_data_prepare(size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8))
    assert np.array_equal(resize_to_square(image, SIZE), resize_image(image, SIZE))


@settings(max_examples=20, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700))
def test_crop_whole_takes_images_of_any_size(width, height):
    image = Image.new("RGB", (width, height), "red")
    frame = crop_whole(image, 64)
    assert frame.square.shape == (min(64, max(width, height)),) * 2 + (3,)
    assert (frame.square == (255, 0, 0)).all()
    map_, analysed = map_to_image(np.full((8, 8), 0.25, np.float32), frame)
    assert map_.shape == analysed.shape == (height, width)
    assert analysed.all()
    np.testing.assert_allclose(map_, 0.25, atol=1e-6)


def test_map_to_image_equals_interpolation_in_the_full_image():
    turn = np.array([[1.5, -0.4], [0.4, 1.5]])  # a face partly beyond the upper left edge
    frame = FaceCrop(np.zeros((64, 64, 3), np.uint8), Similarity(turn, np.array([-10.0, -14.0])), (300, 200))
    map_ = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    found, analysed = map_to_image(map_, frame)
    y, x = np.mgrid[:200, :300] + 0.5
    u, v = np.linalg.inv(turn) @ (np.stack([x.ravel(), y.ravel()]) - frame.to_image.shift[:, None])
    inside = ((u >= 0) & (u < 64) & (v >= 0) & (v < 64)).reshape(200, 300)
    assert np.array_equal(analysed, inside)
    assert (found[~inside] == 0).all()
    expected = map_coordinates(map_, [v - 0.5, u - 0.5], order=1, mode="nearest").reshape(200, 300)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)


def test_several_detectors_share_one_face_search():
    class Counting(Finder):
        calls = 0

        def parse_squares(self, squares):
            Counting.calls += 1
            return super().parse_squares(squares)

    picture = InputImage(Image.fromarray(scene(300, 200, np.array([150.0, 90.0]), 40, 0)))
    one, two = (Localizer("green", GreenIsFake(), Counting(), SIZE)(picture) for _ in range(2))
    assert Counting.calls == 1
    assert np.array_equal(one.map, two.map)
    assert one.warnings == two.warnings
    Localizer("green", GreenIsFake(), Counting(), SIZE // 2)(picture)  # another size needs another crop
    assert Counting.calls == 2


def test_windows_are_inside_and_start_in_the_middle():
    assert square_windows((100, 100)) == [(0, 0, 100)]
    assert square_windows((300, 100)) == [(100, 0, 100), (0, 0, 100), (200, 0, 100)]
    assert square_windows((100, 301))[0] == (0, 100, 100)


def test_without_a_face_the_whole_image_is_analysed_with_warnings():
    image = Image.fromarray(np.zeros((100, 400, 3), np.uint8))
    result = Localizer("green", GreenIsFake(), Finder(), SIZE)(InputImage(image, ["It is odd."]))
    assert result.analysed.all()
    assert result.warnings[0] == "It is odd."
    assert result.warnings[1].startswith("No face was found (skin covers 0% of it), so the whole image was analysed")
    assert "400x100 and was resized" in result.warnings[2]
    assert "400x100 and was enlarged to the 128 px" in result.warnings[3]
    square = Image.fromarray(np.zeros((128, 128, 3), np.uint8))
    assert len(Localizer("green", GreenIsFake(), None, SIZE)(InputImage(square)).warnings) == 1


def test_what_a_detector_says_of_its_maps_is_a_warning():
    detector = GreenIsFake()
    detector.note = "Some patch is always 1."
    result = Localizer("green", detector, None, SIZE)(InputImage(Image.new("RGB", (SIZE, SIZE))))
    assert "Some patch is always 1." in result.warnings


def test_small_faces_get_a_warning():
    pixels = scene(200, 200, np.array([100.0, 90.0]), 20, 0)
    _, notes = crop_image(Image.fromarray(pixels), Finder(), SIZE)
    assert len(notes) == 1
    assert notes[0].startswith("The face is 8")
