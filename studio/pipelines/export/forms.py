"""The forms that a tune can be exported in, and which families have which. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass

from studio.domain import Refused
from studio.export_request import FORMATS
from studio.pipelines.families import Family


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of export. `whole`: the base is in it, with the tune added into its weights; else the tune alone.
    `original`: its parts are named as in the original model, which not every family has.

    Both functions are `module:function` in this package. `written_by` writes it; `read_by` gives what an independent
    reader can read of it, where that is not the file itself. `copies` is how often its bytes are on the disk meanwhile.
    """

    whole: bool
    original: bool
    written_by: str
    read_by: str = ""
    copies: int = 1


FORMS: Mapping[str, Form] = {
    "diffusers": Form(whole=False, original=False, written_by="lora_files:write_diffusers"),
    "kohya": Form(whole=False, original=True, written_by="lora_files:write_kohya"),
    "safetensors": Form(whole=True, original=True, written_by="single:write_safetensors"),
    "ckpt": Form(whole=True, original=True, written_by="single:write_ckpt", read_by="single:twin", copies=2),
    "tar": Form(whole=True, original=False, written_by="folder:write_tar", read_by="folder:unpacked", copies=2),
}


def check(family: Family, format_: str) -> None:
    """Raises Refused where tunes of this family have no such form."""
    if FORMS[format_].original and family.original is None:
        allowed = ", ".join(name for name in FORMATS if not FORMS[name].original)
        raise Refused(
            f"A tune of {family.title} has no form {format_}: it is exported as {allowed}.",
            field="format",
            allowed=allowed,
        )
