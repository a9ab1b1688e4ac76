"""Face enhance: the face becomes clearer, everything else stays to the pixel, and the person stays the person."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from studio.domain import BrokenPicture, BrokenWeights, Cancelled, Drawn, FaceRequest, Progress, Refused, WeightsMissing
from studio.pipelines import face_gfpgan, patches, recipe
from studio.pipelines.compat import provide_functional_tensor
from studio.pipelines.face import FaceEnhance, as_sharp_as_it_is, oval
from studio.pipelines.faces import Array, Box, Faces
from studio.pipelines.patches import LIMIT, Patch, applied
from studio.pipelines.picture_files import read
from studio.pipelines.tool_weights import DLIB, GFPGAN, PHOTO, face_model
from studio.tools import told
from tests.photographs import photographs
from tests.pipelines.tool_models import device, ids, models, noise, real_models, rrdbnet, saved, task


def never() -> bool:
    return False


def nothing(progress: Progress) -> None:
    pass


class Measured:
    """In place of dlib: a face's embedding is its mean brightness, in as many steps of 255 as are said."""

    def __init__(self, step: float) -> None:
        self.step = step

    def embedding(self, rgb: Array, box: Box) -> Array:
        return np.array([rgb.mean() / self.step])


def brighter(amount: float) -> Patch:
    """A patch over the whole of a picture of 10 by 10 in grey 100, brighter by that much."""
    box = Box(left=0, top=0, width=10, height=10)
    pixels = np.full((10, 10, 3), 100 + amount, np.float32)
    return Patch(box=box, left=0, top=0, pixels=pixels, mask=np.ones((10, 10), np.float32))


def grey() -> Array:
    return np.full((10, 10, 3), 100, np.uint8)


# --- the limit -------------------------------------------------------------------------------------------------------


def test_a_face_within_the_limit_is_as_strong_as_asked() -> None:
    faces: Any = Measured(1000)
    picture, (kept,) = applied(grey(), [brighter(100)], 0.8, faces)
    assert (kept.strength, kept.distance) == (0.8, pytest.approx(0.08))
    assert (picture == 180).all()


def test_a_face_beyond_the_limit_is_made_weaker_until_it_is_within() -> None:
    faces: Any = Measured(100)
    _, (kept,) = applied(grey(), [brighter(100)], 1.0, faces)
    assert kept.strength == pytest.approx(0.3)
    assert kept.distance < LIMIT
    assert kept.to_json()["distance"] == pytest.approx(0.3)


def test_a_face_that_cannot_be_within_the_limit_is_left_as_it_was() -> None:
    faces: Any = Measured(1)
    picture, (kept,) = applied(grey(), [brighter(100)], 1.0, faces)
    assert (kept.strength, kept.distance) == (0, 0)
    assert np.array_equal(picture, grey())


def test_every_face_has_its_own_strength() -> None:
    faces: Any = Measured(100)
    _, kept = applied(grey(), [brighter(20), brighter(100)], 1.0, faces)
    assert kept[0].strength == 1.0
    assert kept[1].strength < 1.0


def test_a_patch_changes_nothing_beyond_its_mask_and_keeps_sixteen_bits() -> None:
    picture = noise(30, 40, np.uint16)
    patch = Patch(
        box=Box(left=12, top=6, width=10, height=10),
        left=10,
        top=5,
        pixels=np.full((20, 16, 3), 255, np.float32),
        mask=oval(16, 20),
    )
    made = patch.over(picture, 1.0)
    changed = (made != picture).any(axis=2)
    assert made.dtype == np.uint16
    assert (made[15, 18] == 65535).all()
    assert changed[5:25, 10:26].any()
    changed[5:25, 10:26] = False
    assert not changed.any()


def test_the_oval_is_whole_in_the_middle_and_nothing_at_the_edges() -> None:
    mask = oval(61, 41)
    assert mask[20, 30] == 1
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
    assert np.abs(np.diff(mask[20])).max() < 0.2


def test_a_blown_up_face_is_brought_back_to_the_detail_it_has_and_a_sharp_one_is_not() -> None:
    sharp = np.ascontiguousarray(data.astronaut()[60:188, 160:288])
    blown = cv2.resize(sharp, (512, 512), interpolation=cv2.INTER_CUBIC)
    assert as_sharp_as_it_is(sharp).shape == sharp.shape
    assert as_sharp_as_it_is(blown).shape == (128, 128, 3)
    assert max(as_sharp_as_it_is(noise(2000, 1500)).shape) <= 512


# --- the runner ------------------------------------------------------------------------------------------------------


def made(runner: FaceEnhance, folder: Path, *files: Path, **fields: Any) -> Iterator[Drawn]:
    request = FaceRequest(uploads=ids(len(files)), **fields)
    return runner(task(folder / "job", request, files), nothing, never)


def figures(drawn: Drawn) -> list[dict[str, Any]]:
    steps: Any = drawn.recipe["tools"]
    return steps[-1]["faces"]


def astronaut(face: int) -> Array:
    """The astronaut so small that her face has that width in pixels."""
    side = round(512 * face / 88)
    return cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)


def test_a_face_of_48_pixels_comes_out_changed_and_the_same_persons(tmp_path: Path) -> None:
    runner = FaceEnhance(device(tmp_path), real_models(*DLIB, PHOTO))
    small = astronaut(48)
    (drawn,) = made(runner, tmp_path, saved(tmp_path / "a.png", small), model="realesrgan")
    picture = read(drawn.file).colour
    (box,) = runner.faces.find(small)
    found = runner.faces.distance(small, picture, box)
    assert 0 < found < LIMIT
    assert figures(drawn)[0]["distance"] == pytest.approx(found, abs=1e-3)
    assert np.array_equal(picture[:, :30], small[:, :30]), "away from the face nothing changed"
    assert recipe.read(drawn.file).recipe == drawn.recipe


def test_two_people_are_more_than_twice_as_far_apart_as_the_limit_and_photos_of_one_are_not(tmp_path: Path) -> None:
    faces = Faces(device(tmp_path), real_models(*DLIB))

    def numbers(name: str) -> Array:
        photo = read(photographs() / name).rgb8
        return faces.embedding(photo, faces.find(photo)[0])

    one, again, other = (numbers(name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
    assert np.linalg.norm(one - other) > 2 * LIMIT
    assert np.linalg.norm(one - again) < 0.45


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_where_there_is_no_face_none_is_found(tmp_path: Path, name: str) -> None:
    runner = FaceEnhance(device(tmp_path), real_models(*DLIB, PHOTO))
    with pytest.raises(Refused, match="No face was found") as caught:
        list(made(runner, tmp_path, saved(tmp_path / "a.png", getattr(data, name)()), model="realesrgan"))
    assert caught.value.allowed


def test_a_picture_without_a_face_does_not_stop_the_others(tmp_path: Path) -> None:
    runner = FaceEnhance(device(tmp_path), real_models(*DLIB, PHOTO))
    files = [saved(tmp_path / "a.png", noise(60, 60)), saved(tmp_path / "b.png", astronaut(48))]
    reports: list[Progress] = []
    request = FaceRequest(uploads=ids(2), model="realesrgan")
    drawings = runner(task(tmp_path / "job", request, files), reports.append, never)
    assert next(drawings).index == 1
    with pytest.raises(Refused, match="1 of 2"):
        next(drawings)
    assert told(tuple(report.warning for report in reports if report.warning)) == {0: "No face was found."}


@pytest.mark.parametrize("kind", ["grey", "transparent", "sixteen"])
def test_a_picture_keeps_its_kind(tmp_path: Path, kind: str) -> None:
    runner = FaceEnhance(device(tmp_path), real_models(*DLIB, PHOTO))
    picture = astronaut(48)
    path = tmp_path / "a.png"
    if kind == "grey":
        Image.fromarray(picture).convert("L").save(path)
    elif kind == "sixteen":
        cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    else:
        saved(path, np.concatenate([picture, np.full((*picture.shape[:2], 1), 200, np.uint8)], axis=2))
    (drawn,) = made(runner, tmp_path, path, model="realesrgan")
    before, after = read(path), read(drawn.file)
    assert (after.grey, after.depth) == (before.grey, before.depth)
    assert (
        np.array_equal(after.alpha, before.alpha)
        if before.alpha is not None and after.alpha is not None
        else (after.alpha is before.alpha)
    )


def test_where_nobody_would_stay_himself_nothing_is_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "LIMIT", 0.0)
    runner = FaceEnhance(device(tmp_path), real_models(*DLIB, PHOTO))
    with pytest.raises(BrokenPicture, match="without becoming another's"):
        list(made(runner, tmp_path, saved(tmp_path / "a.png", astronaut(48)), model="realesrgan"))
    assert list((tmp_path / "job").iterdir()) == []


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["auto", "gfpgan", "realesrgan"])
def test_all_that_is_missing_is_one_sentence_with_one_command_within_a_second(tmp_path: Path, model: str) -> None:
    runner = FaceEnhance(device(tmp_path), models(tmp_path / "models", {}))
    begun = time.monotonic()
    with pytest.raises(WeightsMissing) as caught:
        list(made(runner, tmp_path, saved(tmp_path / "a.png", noise(8, 8)), model=model))
    assert time.monotonic() - begun < 1
    needed = (*DLIB, *(GFPGAN if model == "gfpgan" else (PHOTO,)))
    assert caught.value.message.endswith("models fetch " + " ".join(needed))


def test_gfpgan_is_chosen_where_all_its_files_are_and_only_there(tmp_path: Path) -> None:
    one = torch.zeros(1)
    some = models(tmp_path / "some", {"gfpgan": {"x": one}, PHOTO: rrdbnet()})
    whole = models(tmp_path / "all", {name: {"x": one} for name in GFPGAN})
    asked = FaceRequest(uploads=("a",))
    assert (face_model(asked.model, some), face_model(asked.model, whole)) == ("realesrgan", "gfpgan")


# --- gfpgan, on stand-ins of its files' layout -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Files of the layout of the three published ones: random, and of GFPGAN a sixteenth of the width."""
    provide_functional_tensor()
    from facexlib.detection.retinaface import RetinaFace  # noqa: PLC0415 - importable after compat alone
    from facexlib.parsing.parsenet import ParseNet  # noqa: PLC0415
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean  # noqa: PLC0415

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("gfpgan")
    detector = RetinaFace(network_name="resnet50", device=torch.device("cpu"))
    slim: Any = 1 / 16  # which the package calls a whole number, and is not
    restorer = GFPGANv1Clean(
        out_size=512,
        num_style_feat=512,
        channel_multiplier=2,
        decoder_load_path=None,
        fix_decoder=False,
        num_mlp=8,
        input_is_latent=True,
        different_w=True,
        narrow=slim,
        sft_half=True,
    )
    parser = ParseNet(in_size=512, out_size=512, parsing_ch=19)
    files = folder / "detection.pth", folder / "gfpgan.pth", folder / "parsing.pth"
    torch.save({f"module.{name}": tensor for name, tensor in detector.state_dict().items()}, files[0])
    torch.save({"params_ema": restorer.state_dict()}, files[1])
    torch.save(parser.state_dict(), files[2])
    return files


def gfpgan(stand_ins: tuple[Path, Path, Path]) -> face_gfpgan.Gfpgan:
    return face_gfpgan.load(*stand_ins, device=torch.device("cpu"))


MARKS = np.array([[199.0, 107.0], [241.0, 108.0], [220.0, 128.0], [203.0, 147.0], [237.0, 147.0]])
"""Eyes, nose and corners of the mouth of the astronaut, by hand."""
BOX = Box(left=179, top=83, width=88, height=88)


def test_the_networks_load_from_files_of_the_published_layout_and_look_for_faces(
    stand_ins: tuple[Path, Path, Path],
) -> None:
    found = gfpgan(stand_ins).faces(np.ascontiguousarray(data.astronaut()[:160, :160]))
    assert isinstance(found, list), "random networks may find anything, but in this form"
    for box, marks in found:
        assert isinstance(box, Box)
        assert marks.shape == (5, 2)


class Echo(torch.nn.Module):
    """A restorer that gives the face back as it got it."""

    def forward(self, face: torch.Tensor, return_rgb: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return face, []


class AllSkin(torch.nn.Module):
    """A parser that takes everything for skin."""

    def forward(self, face: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        classes = torch.zeros(1, 19, 512, 512)
        classes[:, 1] = 1
        return classes, face


class SeenTwice:
    """A detector that sees the astronaut's face twice."""

    def detect_faces(self, picture: Array, sure: float) -> Array:
        box = [BOX.left, BOX.top, BOX.left + BOX.width, BOX.top + BOX.height]
        return np.array([[*box, 1.0, *MARKS.ravel()]] * 2)


def test_before_each_face_it_is_told_how_many_are_done_and_may_be_stopped() -> None:
    networks = face_gfpgan.Gfpgan(detector=SeenTwice(), restorer=Echo(), parser=AllSkin(), device=torch.device("cpu"))
    shares: list[float] = []

    def advance(share: float) -> None:
        shares.append(share)
        if share:
            raise Cancelled

    patches = networks.patches(data.astronaut(), advance)
    assert next(patches).box == BOX
    with pytest.raises(Cancelled):
        next(patches)
    assert shares == [0, 0.5]


def test_a_face_that_is_cut_out_upright_comes_back_to_where_it_was() -> None:
    turned = cv2.getRotationMatrix2D((220, 130), 25, 1)
    photo = cv2.warpAffine(data.astronaut(), turned, (512, 512))
    marks = cv2.transform(MARKS[None], turned)[0]
    networks = face_gfpgan.Gfpgan(detector=None, restorer=Echo(), parser=AllSkin(), device=torch.device("cpu"))
    patch = networks.patch(photo, BOX, marks)
    made = patch.over(photo, 1.0)
    inside = np.zeros((512, 512), bool)
    inside[patch.top : patch.top + len(patch.mask), patch.left : patch.left + patch.mask.shape[1]] = patch.mask > 0.9
    assert inside[130, 220]
    assert np.abs(made.astype(int) - photo)[inside].mean() < 4


def test_a_made_face_goes_only_where_the_parsing_says_face(stand_ins: tuple[Path, Path, Path]) -> None:
    patch = gfpgan(stand_ins).patch(data.astronaut(), BOX, MARKS)
    assert patch.pixels.shape == (*patch.mask.shape, 3)
    assert 0 <= patch.mask.min() <= patch.mask.max() <= 1
    assert 0 <= patch.pixels.min() <= patch.pixels.max() <= 255.01
    assert max(patch.mask[0].max(), patch.mask[:, 0].max()) < 0.01


def test_a_face_at_the_edge_of_the_picture_is_cut_there(stand_ins: tuple[Path, Path, Path]) -> None:
    photo = np.ascontiguousarray(data.astronaut()[90:, 190:])
    patch = gfpgan(stand_ins).patch(photo, Box(left=-11, top=-7, width=88, height=88), MARKS - (190, 90))
    assert (patch.left, patch.top) == (0, 0)
    assert patch.over(photo, 1.0).shape == photo.shape


def test_a_file_of_another_network_is_said_to_be_one(stand_ins: tuple[Path, Path, Path]) -> None:
    detection, restoration, parsing = stand_ins
    with pytest.raises(BrokenWeights, match="does not hold the network"):
        face_gfpgan.load(detection, parsing, restoration, device=torch.device("cpu"))


def test_a_file_with_code_in_it_is_not_run(stand_ins: tuple[Path, Path, Path], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"params_ema": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(BrokenWeights):
        face_gfpgan.load(stand_ins[0], tmp_path / "trap.pth", stand_ins[2], device=torch.device("cpu"))
    assert not (tmp_path / "sprung").exists()
