"""Cut and paste: training images whose mask is known although no mask was ever seen (setups A and B).

A piece of a fake, cut where a detector is confident, replaces the same pixels of a real image: the mask is the piece.
The colour of a piece is matched at its border, so that the border is not visible at a glance. Some of the pieces can be
decoys: they come from another real image and their mask is empty, so that a border is no evidence. In photographs they
are needed: a piece differs from its new surroundings in sharpness and noise. Without decoys the detector learns that
difference instead of the trace of the generator, and its maps of fakes are empty.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt

from wsdl.config import Training
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.progress import print_stderr
from wsdl.core.run import Run
from wsdl.data.corruptions import corrupt_fraction
from wsdl.data.dataset import release_memory
from wsdl.detectors.base import Batch, Detector
from wsdl.training.examples import Examples, draw_batch
from wsdl.training.pieces import cut_piece, match_border

UNKNOWN = 2  # in a mask of `Batch`: a pixel without a target
CHANCE = float(np.log(2))  # the loss of image labels of a constant probability of one half
LEARNED = 0.35  # validation loss of image labels, half of that at chance level
TEACHER_FAKES = 2_000  # fakes whose regions are in memory at a time
DEEPEST = 1 / 2  # fraction of the depth of a region by which it is narrowed at most: small regions keep their middle
# In a pseudo-mask a patch is real below this quantile of the patches of real images. With a fixed probability, maps
# that become lower during self-training give emptier pseudo-masks, which lower the maps further until they are empty.
SURELY_REAL = 0.9


@dataclass(frozen=True)
class Regions:
    """Where pieces of images may be cut. None of it comes from a mask."""

    images: np.ndarray  # their indices [n]
    maps: np.ndarray | None = None  # float16 [n, h, w], probabilities of a detector; None: anywhere
    threshold: float = 0.5  # the region is where the map is above it, without a margin
    margin: float = 0.0  # of it, as a fraction of the side of the image
    surely_real: float = 0.0  # a pseudo-mask is real below this probability, and unknown from there to the threshold

    def region(self, i: int, side: int) -> np.ndarray:
        """bool [side, side]: the region of image number i."""
        if self.maps is None:
            return np.ones((side, side), bool)
        region = self._map(i, side) > self.threshold
        if region.all() or not self.margin:
            return region
        depth = distance_transform_edt(region)  # pixels to the nearest one outside
        return depth > min(self.margin * side, DEEPEST * depth.max())

    def pseudo_mask(self, i: int, side: int) -> np.ndarray:
        """uint8 [side, side]: what the detector decides on image number i where it is sure, elsewhere UNKNOWN."""
        map_ = self._map(i, side)
        is_real = map_ < min(self.surely_real, self.threshold)
        return np.where(map_ > self.threshold, 1, np.where(is_real, 0, UNKNOWN)).astype(np.uint8)

    def _map(self, i: int, side: int) -> np.ndarray:
        """float32 [side, side]: the map of image number i."""
        map_ = torch.from_numpy(self.maps[i]).float()[None, None]
        return F.interpolate(map_, (side, side), mode="bilinear")[0, 0].numpy()


class BatchSource:
    """The training batches of one detector in setups A and B, in the order of the stages; in setup C `draw_batch`.

    1. Warm-up: corrupted pieces of real images in other real images, for `warm_up_images` images. Without it, learning
       from labels sets in after 2,000 images or after 6,000, by chance.
    2. Image labels.
    3. Cut and paste. In setup B (self-training) the pieces are regions that the detector itself is confident of,
       found anew at every checkpoint. It begins at the first checkpoint after `label_images` images by which the
       detector tells real images from fakes (validation loss below LEARNED). Its maps are low at first, and a region
       is what exceeds the patches of real images; from `decided_from` on it is where the probability is above one half,
       which is closer to the true region. From `pseudo_from` on, a fraction `pseudo_labels` of the images are as they
       are: real ones, and fakes with the sure decisions of the detector as targets. A border that was inpainted looks
       different from one that was pasted. In setup A a full fake is fake everywhere, and all images are pasted from the
       first one on.
    """

    def __init__(self, run: Run, training: Examples, validation: Examples, settings: Training):
        self.run, self.training, self.validation, self.settings = run, training, validation, settings
        self.size, self.seed = run.config["batch"], run.config["seed"]
        self.may_paste = getattr(settings, "cut_and_paste", False) and training.masks is None
        self.warm_up_images = getattr(settings, "warm_up_images", 0) if training.masks is None else 0
        self.regions = Regions(training.fake) if self.may_paste and training.full_fakes else None
        if (self.may_paste or self.warm_up_images) and not all(map(len, training.real_of_half)):
            raise WsdlError(
                f"{run.folder}: pasting needs real training images of at least two faces in different halves, but the "
                f"data has them in one; add faces, or set cut_and_paste to false and warm_up_images to 0."
            )

    def batch(self, step: int) -> Batch:
        where, settings = (self.training, self.size, self.seed, step), self.settings
        if self.regions is not None:
            pseudo = self._pseudo_labels(step)
            return pasted_batch(*where, self.regions, settings.pieces, settings.decoys, pseudo=pseudo)
        if step * self.size < self.warm_up_images:
            everywhere = Regions(self.training.real)
            return pasted_batch(*where, everywhere, settings.pieces, settings.decoys, corrupt=True)
        return draw_batch(*where, settings.augment)

    def observe(self, detector: Detector, seen: int) -> None:
        """Setup B: find regions with `detector` after `seen` training images (the `observe` of `fit`)."""
        if not self.may_paste or self.training.full_fakes:
            return
        if problem := describe_failure(self.run.stats(), self.run.config["images"]):
            print_stderr(f"{self.run.folder}: {problem}")
        if not self._has_learned():
            return
        done, settings = seen / self.run.config["images"], self.settings
        is_decided = done >= settings.decided_from
        margin = settings.margin * (1 if is_decided else done / settings.decided_from)
        where = self.training, self.validation, seed_for(self.seed, seen)
        found = confident_regions(detector, *where, settings.quantile, margin)
        self.regions = replace(found, threshold=0.5) if is_decided else found

    def _pseudo_labels(self, step: int) -> float:
        """The fraction of whole images in batch number `step`."""
        is_late = step * self.size >= self.settings.pseudo_from * self.run.config["images"]
        return self.settings.pseudo_labels if is_late and self.regions.maps is not None else 0.0

    def _has_learned(self) -> bool:
        """Whether a logged validation loss, which is one of image labels, allows to begin."""
        begun = [line for line in self.run.stats() if line["images"] >= self.settings.label_images]
        return any(line.get("validation", LEARNED) < LEARNED for line in begun)


def describe_failure(stats: list[dict], images: int) -> str:
    """Why the last of the log lines `stats` shows that a training of `images` images in setup B has failed.

    Uses losses of image labels only. "" where it shows nothing of the kind, or an earlier line showed it already.
    """
    *earlier, last = stats
    if "label_validation" in last:
        is_above = [line["label_validation"] > CHANCE for line in stats if "label_validation" in line]
        # The first line after self-training began is often above for a moment.
        unlearned = [pair == (True, True) for pair in pairwise(is_above)]
        if not any(unlearned[-1:]) or any(unlearned[:-1]):
            return ""
        return (
            f"self-training has unlearned the image labels (validation loss {last['label_validation']:.2f}, at chance "
            f"level {CHANCE:.2f}): maps may be empty, so do not use this detector; train with "
            f"`--profile photographs`, or with cut_and_paste = false (in a profile)."
        )
    if last["images"] < images / 2 or any(line["images"] >= images / 2 for line in earlier):
        return ""
    if last["validation"] < LEARNED:  # cut and paste waits for `label_images` images
        return ""
    return (
        f"image labels are not learned after {last['images']:,} of {images:,} images (validation loss "
        f"{last['validation']:.2f}, at chance level {CHANCE:.2f}), so cut and paste, which begins below {LEARNED}, has "
        f"not begun; train on more images, or start from a detector of setup b (`train --start`)."
    )


@torch.no_grad()
def confident_regions(
    detector: Detector, training: Examples, validation: Examples, seed: int, quantile: float, margin: float
) -> Regions:
    """The regions of at most TEACHER_FAKES training fakes that `detector` is confident of, narrowed by `margin`.

    Confident means above the `quantile` of the patches of real validation images, or above one half. A patch at the
    border of a region sees both of its sides and is confident, too: without a margin, real pixels count as fake. But a
    detector that has only begun to learn is confident of small regions, which a wide margin would empty: so the margin
    grows.
    """
    fakes = training.fake
    if len(fakes) > TEACHER_FAKES:
        fakes = np.sort(np.random.default_rng(seed).choice(fakes, TEACHER_FAKES, replace=False))
    real = detector.predict(validation.images[validation.real]).maps
    surely_real, threshold = (float(np.quantile(real, one)) for one in (SURELY_REAL, quantile))
    maps = detector.predict(training.images[fakes]).maps.astype(np.float16)
    return Regions(fakes, maps, min(threshold, 0.5), margin, surely_real)


def pasted_batch(
    data: Examples,
    size: int,
    seed: int,
    step: int,
    regions: Regions,
    pieces: int,  # most pieces in a pasted image
    decoys: float = 0.0,  # fraction of the pieces that are real
    corrupt: bool = False,  # see `paste_pieces`
    pseudo: float = 0.0,  # fraction of the batch that are images as they are: fakes with pseudo-masks, and real ones
) -> Batch:
    """Training batch number `step`: `size` images with their masks, most of them pasted; half of them are flipped.

    The first of a batch are pasted, in the fraction 1 - pseudo; then fakes and real images alternate.
    """
    rng = np.random.default_rng(seed_for(seed, "paste", step))
    whole = round(pseudo * size)
    pairs = [paste_pieces(data, regions, pieces, decoys, rng, corrupt) for _ in range(size - whole)]
    pairs += [_whole_image(data, regions, rng, is_real=n % 2 == 1) for n in range(whole)]
    release_memory(data.images)
    images, masks = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    mirror = rng.random(size) < 0.5
    for array in (images, masks):
        array[mirror] = array[mirror, :, ::-1]
    labels = (masks == 1).any(axis=(1, 2)).astype(np.int64)
    return Batch(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(masks))


def _whole_image(
    data: Examples, regions: Regions, rng: np.random.Generator, is_real: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A random real image with an empty mask, or a random fake with its pseudo-mask."""
    if is_real:
        image = np.array(data.images[rng.choice(data.real)])
        return image, np.zeros(image.shape[:2], np.uint8)
    i = rng.integers(len(regions.images))
    image = np.array(data.images[regions.images[i]])
    return image, regions.pseudo_mask(i, len(image))


def paste_pieces(
    data: Examples, regions: Regions, pieces: int, decoys: float, rng: np.random.Generator, corrupt: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """One pasted image, uint8 [H, W, 3], and its mask, uint8 [H, W], 1 = fake.

    One to `pieces` pieces of different images go into one real image of the other half of the faces
    (`Examples.half`), so a fake never into its own source image; a later piece may cover an earlier one. corrupt: the
    images of `regions` are real, and pieces that are no decoys are corrupted (JPEG, resize, blur, noise).
    """
    half = data.half[rng.choice(regions.images)]
    pasted = np.array(data.images[rng.choice(data.real_of_half[1 - half])])
    mask = np.zeros(pasted.shape[:2], np.uint8)
    donors = np.flatnonzero(data.half[regions.images] == half)
    for i in rng.choice(donors, rng.integers(1, pieces + 1)):
        piece = cut_piece(regions.region(i, len(pasted)), rng)
        is_decoy = rng.random() < decoys
        content = data.images[rng.choice(data.real) if is_decoy else regions.images[i]]
        if corrupt and not is_decoy:
            content = corrupt_fraction(content[None], 1.0, rng)[0]
        pasted[piece] = match_border(content, pasted, piece)[piece]
        mask[piece] = not is_decoy
    return pasted, mask
