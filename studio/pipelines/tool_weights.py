"""Which weights a tool's request needs, and whether they are here. Imports no torch: asked before a job is queued."""

from collections.abc import Iterable

from studio.domain import BackgroundRequest, FaceRequest, ImageRequest, Request, UpscaleRequest, WeightsMissing
from studio.pipelines.bases import Bases
from studio.pipelines.weights import FETCH, find, present
from studio.tools import AUTO

PHOTO, DRAWING = "realesrgan-x4plus", "realesrgan-x4plus-anime"
DLIB = ("dlib-face", "dlib-landmarks5")
GFPGAN = ("gfpgan", "facexlib-detection", "facexlib-parsing")


def check(request: Request, bases: Bases) -> None:
    """Raises WeightsMissing, with one command that gets all that is missing; does nothing for other requests."""
    check_ids(needed(request, bases), bases)


def check_ids(names: Iterable[str], bases: Bases) -> None:
    """Raises WeightsMissing as `check` does where one of these weights is not here."""
    missing: list[str] = []
    first: WeightsMissing | None = None
    for name in names:
        try:
            find(bases.catalogue.weight(name), bases.folders, verify=False)
        except WeightsMissing as error:
            missing.append(name)
            first = first or error
    if first is not None and len(missing) == 1:
        raise first
    if missing:
        names = " ".join(missing)
        raise WeightsMissing(
            f"{', '.join(missing)} are not on this machine. Get them with: {FETCH} {names}", field="model"
        )


def needed(request: Request, bases: Bases) -> tuple[str, ...]:
    """The ids of the weights, as this machine would do it: `auto` is settled by what is here."""
    match request:
        case ImageRequest():
            return (
                *((PHOTO, DRAWING) if request.super_resolution else ()),
                *(_faces(bases) if request.face_enhance else ()),
            )
        case UpscaleRequest(model=model):
            return (PHOTO, DRAWING) if model == AUTO else (model,)
        case FaceRequest():
            return _faces(bases, request.model)
        case BackgroundRequest(model=model):
            return (model,)
        case _:
            return ()


def _faces(bases: Bases, model: str = AUTO) -> tuple[str, ...]:
    return (*DLIB, *(GFPGAN if face_model(model, bases) == "gfpgan" else (PHOTO,)))


def face_model(model: str, bases: Bases) -> str:
    """`gfpgan` or `realesrgan`: for `auto`, the first where all its files are here."""
    if model != AUTO:
        return model
    return "gfpgan" if all(is_here(name, bases) for name in GFPGAN) else "realesrgan"


def is_here(name: str, bases: Bases) -> bool:
    """Whether that weight's file lies in one of the models folders, by its length."""
    return present(bases.catalogue.weight(name), bases.folders) is not None
