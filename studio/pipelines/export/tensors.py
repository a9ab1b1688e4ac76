"""Files of tensors, written tensor by tensor: safetensors, and the zip archive that PyTorch saves state dicts as.

Both are written here and not by their libraries, for three reasons: a full disk and a cancellation are told as such, no
copy of a whole model is made in memory, and of the archive every program can read the same old form.
"""

import json
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2

Tick = Callable[[], None]
"""Called after each tensor: to tell how far it is, or to stop it by raising."""

DTYPES: Mapping[torch.dtype, str] = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
}
ALIGNED = 64  # bytes: where tensors begin in an archive, so that they can be mapped into memory


def size_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """About how many bytes a file of these takes."""
    return sum(tensor.numel() * tensor.element_size() + 256 for tensor in tensors.values())


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """A tensor's numbers, row by row."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    numbers: Any = flat.view(torch.uint8).numpy()  # Python 3.11's types know no buffers
    return memoryview(numbers)


def save_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], tick: Tick) -> None:
    """Writes a safetensors file (https://github.com/huggingface/safetensors#format). Raises OSError."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    place = 0
    for name, tensor in tensors.items():
        end = place + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(bytes_of(tensor))
            tick()


def save_ckpt(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], tick: Tick) -> None:
    """Writes a state dict as `torch.save` does, in the form of PyTorch 1.6: what it has added to archives since makes
    AUTOMATIC1111, which lists what may be in one, refuse them. Raises OSError."""
    words = BytesIO()
    _Pickler(words, tensors).dump({"state_dict": dict(tensors), **metadata})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        _put(archive, "archive/data.pkl", words.getvalue())
        for number, tensor in enumerate(tensors.values()):
            _put(archive, f"archive/data/{number}", bytes_of(tensor))
            tick()
        _put(archive, "archive/version", b"3\n")


def check_ckpt(path: Path, tensors: Mapping[str, bytes], digest: Callable[[memoryview], bytes]) -> list[str]:
    """What is wrong with an archive of these names and digests, a sentence each. Nothing in it is carried out: it is
    read as a zip archive, and its pickle as a list of words."""
    found: list[str] = []
    with zipfile.ZipFile(path) as archive:
        text = archive.read("archive/data.pkl")
        words = [argument for _, argument, _ in pickletools.genops(text) if isinstance(argument, str)]
        named = [word for word in dict.fromkeys(words) if word in tensors]
        if named != list(tensors):
            found.append(f"{len(tensors)} tensors were to be named in order, {len(named)} are")
        numbers = {info.filename for info in archive.infolist()} - {"archive/data.pkl", "archive/version"}
        if numbers != {f"archive/data/{number}" for number in range(len(tensors))}:
            found.append(f"{len(tensors)} tensors were to be in it, {len(numbers)} are")
            return found
        for number, (name, expected) in enumerate(tensors.items()):
            if digest(memoryview(archive.read(f"archive/data/{number}"))) != expected:
                found.append(f"{name} is not what was written")
    return found


class _Pickler(pickle.Pickler):
    """Names each tensor's numbers by where they lie in the archive, as torch.serialization does."""

    def __init__(self, file: BytesIO, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__(file, protocol=2)
        self.numbers = {id(tensor): number for number, tensor in enumerate(tensors.values())}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Numbers):
            storage = torch.storage._dtype_to_storage_type_map()[obj.tensor.dtype]
            kind = getattr(torch, storage)
            return ("storage", kind, str(obj.number), "cpu", obj.tensor.numel())
        return None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, torch.Tensor):
            strides = torch.empty(obj.shape, device="meta").stride()
            numbers = _Numbers(obj, self.numbers[id(obj)])
            return _rebuild_tensor_v2, (numbers, 0, tuple(obj.shape), strides, False, OrderedDict())
        return NotImplemented


class _Numbers:
    def __init__(self, tensor: torch.Tensor, number: int) -> None:
        self.tensor, self.number = tensor, number


def _put(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    """Adds a member whose content begins at a multiple of ALIGNED: padded by an extra field, as PyTorch does."""
    entry = zipfile.ZipInfo(name)
    assert archive.fp is not None
    begin = archive.fp.tell() + 30 + len(name.encode()) + 4  # a local header, the name, the extra field's own header
    padding = -begin % ALIGNED
    entry.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
    archive.writestr(entry, content)
