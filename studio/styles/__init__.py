"""The predefined styles: one TOML file a category, each style a pair of prompt templates. Standard library only."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.errors import Refused
from studio.rules import shown

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Style:
    """A style: `prompt` has `{prompt}` where the asker's words go, `negative` is added to his."""

    id: str
    title: str
    prompt: str
    negative: str = ""
    category: str = ""

    def apply(self, prompt: str, negative: str) -> tuple[str, str]:
        """The prompt and the negative prompt in this style."""
        words = [part for part in (negative.strip(), self.negative) if part]
        return self.prompt.replace("{prompt}", prompt.strip()), ", ".join(words)


def read_styles(folder: Path = FOLDER) -> Mapping[str, Style]:
    """Every style by id, category by category. Raises ValueError where a file is wrong or an id is there twice."""
    styles: dict[str, Style] = {}
    for file in sorted(folder.glob("*.toml")):
        body = tomllib.loads(file.read_text(encoding="utf-8"))
        for entry in body["style"]:
            style = Style(**entry, category=body["category"]["title"])
            if style.id in styles or "{prompt}" not in style.prompt:
                raise ValueError(f"{file.name}: the style {style.id} is there twice or has no {{prompt}}")
            styles[style.id] = style
    return styles


def style_of(styles: Mapping[str, Style], name: str) -> Style:
    """The style of that id. Raises Refused naming those there are."""
    if name not in styles:
        raise Refused(f"There is no style {shown(name)}.", field="style", allowed=", ".join(styles))
    return styles[name]
