"""The errors a user is told: each one clear sentence, with the field it is about and what that field allows."""


class StudioError(Exception):
    """A fault told to the user as it is: one sentence, the field it is about, and what that field allows."""

    def __init__(self, message: str, *, field: str | None = None, allowed: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.allowed = allowed

    def to_json(self) -> dict[str, str | None]:
        return {"error": self.message, "field": self.field, "allowed": self.allowed}


class Refused(StudioError):
    """What was asked breaks a rule; nothing was charged and nothing is left behind."""


class NotFound(StudioError):
    """There is no such thing, or it is not the asker's: the two are told alike."""


class Conflict(StudioError):
    """The id already stands for something else, or things do not stand so that this can be done now."""


class NotEnoughCredits(StudioError):
    """The balance does not cover the price. `remedy` is a sentence that says what would give what is missing."""

    def __init__(self, kind: str, needed: int, available: int, remedy: str = "") -> None:
        credit = f"{kind.replace('_', '-')} credit{'' if needed == 1 else 's'}"
        super().__init__(
            f"This needs {needed} {credit}; {available} available, {needed - available} missing. {remedy}".rstrip(),
            field="credits",
        )
        self.kind = kind
        self.needed = needed
        self.available = available


class WeightsMissing(StudioError):
    """A model's files are not on this machine; the message has the command that gets them."""


class BrokenWeights(StudioError):
    """A model's files are there but are not what they should be."""


class OutOfMemory(StudioError):
    """The device cannot hold the work, even one picture at a time."""


class BrokenPicture(StudioError):
    """What came out of the model is no picture (NaN, or nothing but black)."""


class StorageFailed(StudioError):
    """The data folder cannot be written: the disk is full, or the rights are missing."""


class Cancelled(StudioError):
    """Raised by a runner that stops because `is_cancelled()` said so; returning early says the same."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
