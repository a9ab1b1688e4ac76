"""What only a set of photos tells: whose photos they are, and who is another person."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from studio.photo_report import Reason

ANOTHER = 0.6
"""How far apart two embeddings of one person are at most (https://dlib.net/face_recognition.py.html)."""

Array = np.ndarray[Any, np.dtype[Any]]


def strangers(faces_of: Mapping[int, Sequence[Array]]) -> tuple[dict[int, Reason], bool]:
    """Who is not the person of the most photos, and whether there is no such person.

    `faces_of` has of each photo the embeddings of its sitters: of one, of a couple two, or none where none were found.
    That person's most typical photo is the one with the most others near it, of these the one nearest to them.
    """
    # Of a couple some photos may show one alone; they are not compared.
    most = max((len(faces) for faces in faces_of.values()), default=0)
    indexes = [index for index, faces in faces_of.items() if faces and len(faces) == most]
    faces = [faces_of[index] for index in indexes]
    if len(faces) < 3:
        return {}, False
    apart = np.array([[_apart(one, other) for other in faces] for one in faces])
    near = apart <= ANOTHER
    typical = max(range(len(faces)), key=lambda row: (near[row].sum(), -apart[row][near[row]].sum()))
    if near[typical].sum() * 2 <= len(faces):
        return {}, True
    far = {indexes[row]: apart[typical][row] for row in range(len(faces)) if not near[typical][row]}
    return {index: Reason.of("other_person", distance=f"{distance:.2f}") for index, distance in far.items()}, False


def _apart(one: Sequence[Array], other: Sequence[Array]) -> float:
    """How far apart the people of two photos are: in the pairing that suits best, of those who suit worst."""
    pairings = permutations(other)
    return min(max(float(np.linalg.norm(a - b)) for a, b in zip(one, order, strict=True)) for order in pairings)
