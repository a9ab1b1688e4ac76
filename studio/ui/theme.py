"""The page's own look: colours and measures for light and dark, and where its style and script lie."""

from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils.colors import Color

FOLDER = Path(__file__).parent
SYSTEM_FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")

# Every pair of text and ground below has a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
ACCENT = Color(
    name="accent",
    c50="#eefbf6",
    c100="#d5f5e8",
    c200="#aeead4",
    c300="#79d8ba",
    c400="#43be9a",
    c500="#1fa37f",
    c600="#128367",
    c700="#0f6a55",
    c800="#105445",
    c900="#0f463a",
    c950="#062720",
)
GROUND = Color(
    name="ground",
    c50="#f7f7f5",
    c100="#efefec",
    c200="#e2e2dd",
    c300="#cbcbc4",
    c400="#96968e",
    c500="#6b6b64",
    c600="#52524c",
    c700="#3b3b37",
    c800="#262624",
    c900="#1b1b1a",
    c950="#121211",
)


def theme() -> Base:
    """The theme. Its fonts are the system's: nothing is fetched from elsewhere."""
    return Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=GROUND,
        radius_size="md",
        spacing_size="sm",
        text_size="md",
        font=list(SYSTEM_FONTS),
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_secondary="*neutral_100",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_title_text_weight="550",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        block_shadow="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_200",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_text_color="*neutral_800",
        button_secondary_text_color_dark="*neutral_100",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        checkbox_label_text_color_selected="white",
        checkbox_label_text_color_selected_dark="white",
        error_text_color="#a3231b",
        error_text_color_dark="#ffb4ab",
    )


def css() -> str:
    """Every style sheet of this folder: one for the page, one for each tab that needs one."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.css")))


def head() -> str:
    """What goes into the page's head: its scripts."""
    return "\n".join(f"<script>{path.read_text(encoding='utf-8')}</script>" for path in sorted(FOLDER.glob("*.js")))
