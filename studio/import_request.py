"""What is noted of a LoRA that was taken in from elsewhere. Standard library only."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

from studio.errors import Refused
from studio.rules import MOST_PROMPT, known_fields, name, text


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """A LoRA that others made, as a tune of its account. `words` is how a prompt calls it, `sha256` is of its file."""

    kind: ClassVar[Literal["import"]] = "import"
    style: ClassVar[None] = None

    name: str
    words: str
    base: str
    class_name: str = "object"
    sha256: str = ""

    def __post_init__(self) -> None:
        # Values are put back as checked, so that equal requests have equal JSON.
        object.__setattr__(self, "name", text("name", self.name, most=80).strip())
        object.__setattr__(self, "words", text("words", self.words, most=MOST_PROMPT).strip())
        name("base", self.base)
        name("class_name", self.class_name)

    @property
    def pictures(self) -> int:
        """How many results it has: the tune."""
        return 1

    def inputs(self) -> dict[str, str]:
        """No uploads."""
        return {}

    def resolve(self, draw: Callable[[], int]) -> Self:
        """The request itself: nothing in it hangs on a seed."""
        return self

    def to_json(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, body: object) -> Self:
        """The request of a JSON object. Raises `Refused`."""
        given: dict[str, Any] = known_fields(cls.kind, [field.name for field in fields(cls)], body)
        for field in ("name", "words", "base"):
            if field not in given:
                raise Refused(f"{field} is missing.", field=field, allowed="name, words and base")
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class ImportedLora:
    """A LoRA that was checked and written as the studio writes tunes. `words` is what its file says it is called by."""

    words: str
    title: str
    layers: int
    rank: int
    sha256: str
