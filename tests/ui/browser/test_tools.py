"""The tool tabs in a real browser: files dropped, worked on for the price on the button, compared and sent on."""

import base64
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.pipelines.tool_models import DRAWING, PHOTO, real_models
from tests.test_workshop import cut_short, png
from tests.ui.browsing import Home, Visitor
from tests.ui.test_axe import faults

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

Visit = Callable[..., Visitor]
DROP = """([query, files]) => {
    const carried = new DataTransfer();
    for (const { name, body } of files) {
        carried.items.add(new File([Uint8Array.from(atob(body), sign => sign.charCodeAt(0))], name));
    }
    for (const kind of ['dragover', 'drop']) {
        const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
        document.querySelector(query).dispatchEvent(event);
    }
}"""


@pytest.fixture(scope="module", autouse=True)
def weights() -> None:
    """What the tools need, where they are not the touch-up."""
    if "LIKENESS_ARTIST" not in os.environ:
        real_models(PHOTO, DRAWING, "u2netp")


def drop(one: Visitor, tool: str, files: Sequence[Path], *, names: Sequence[str] = ()) -> None:
    """Drops files beside the form of a tool's tab, as they are called or as `names` has it."""
    bodies = [base64.b64encode(file.read_bytes()).decode() for file in files]
    called = names or [file.name for file in files]
    carried = [{"name": name, "body": body} for name, body in zip(called, bodies, strict=True)]
    one.page.evaluate(DROP, [f"#results-{tool}", carried])


def go(one: Visitor, tool: str) -> Any:
    """Presses the button; what is told of the job once it is there."""
    before = one.at(f"#tool-{tool} .tool-head")
    known = before.get_attribute("data-job") if before.count() else ""
    one.at(f"#go-{tool}").click()
    head = one.at(f'#tool-{tool} .tool-head:not([data-job="{known}"])')
    head.wait_for()
    return head


def ended(one: Visitor, tool: str, state: str = "done") -> Any:
    head = one.at(f"#tool-{tool} .tool-head[data-state={state}]")
    head.wait_for()
    return head


def test_dropped_files_are_worked_on_compared_sent_on_and_saved(visit: Visit, home: Home, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    files = [png(tmp_path / "a.png", 60, 40), png(tmp_path / "b.png", 50, 40, "red"), cut_short(tmp_path / "c.jpg")]
    one = visit("upscale")

    # 1. Dropped: what is no picture is named, and the price is on the button.
    drop(one, "upscale", [*files, tmp_path / "notes.txt"])
    expect(one.at("#left-upscale")).to_have_text(
        "1 left out, since only JPEG, PNG, WebP and HEIF are taken: notes.txt."
    )
    expect(one.at("#go-upscale")).to_have_text("Upscale 3 pictures – 6 credits")
    one.at("#scale label").first.click()
    expect(one.at("#go-upscale")).to_have_text("Upscale 3 pictures – 3 credits")

    # 2. Worked on: the one that cannot be read is named, and the next batch does not begin with this one.
    go(one, "upscale")
    expect(one.at("#refused-upscale")).to_contain_text("c.jpg is damaged or cut short.")
    expect(one.at("#refused-upscale")).to_contain_text("The other 2 pictures are being done.")
    expect(one.at("#go-upscale")).to_have_text("Upscale")
    expect(one.at("#files-upscale .file-preview tr")).to_have_count(0)
    head = ended(one, "upscale")
    expect(head).to_contain_text("2 credits")
    assert home.ended(str(head.get_attribute("data-job")))["charged"] == {"playground": 2}

    # 3. Before and after, by mouse and by keys.
    expect(one.at("#results-upscale .about").first).to_contain_text("60 × 40 → 120 × 80")
    shown, slider = one.at("#results-upscale .compare").first, one.at("#results-upscale [data-compare]").first
    slider.press("Home")
    assert shown.evaluate("one => one.style.getPropertyValue('--at')") == "0%"
    slider.click(position={"x": 3 * slider.bounding_box()["width"] / 4, "y": 10})
    assert 70 < float(slider.input_value()) < 80
    for side in ("before", "after"):
        assert shown.locator(f"img.{side}").evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    assert faults(one.page) == []

    # 4. All of them as a ZIP; and why there is none is said where one is.
    with one.page.expect_download() as waiting:
        head.locator("form button").click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as archive:
        pictures = [name for name in archive.namelist() if name.endswith(".png")]
        sizes = {Image.open(io.BytesIO(archive.read(name))).size for name in pictures}
    assert sizes == {(120, 80), (100, 80)}
    head.locator("form input").evaluate("one => { one.value = '00000000-0000-4000-8000-000000000000'; }")
    head.locator("form button").click()
    expect(one.at("#notice .notice")).to_have_text("There is no such picture.")
    one.faults.clear()  # the browser complains of the 404 too

    # 5. Sent on to another tool, one taken out again.
    head.locator("[data-do=send][data-tool=background]").click()
    expect(one.at("#tray-background li")).to_have_count(2)
    expect(one.at("#go-background")).to_have_text("Remove 2 backgrounds – 2 credits")
    one.at("#tray-background [data-do=unsend]").first.click()
    expect(one.at("#go-background")).to_have_text("Remove 1 background – 1 credit")
    go(one, "background")
    ended(one, "background")
    expect(one.at("#results-background .piece")).to_have_count(1)
    expect(one.at("#tray-background li")).to_have_count(0)
    one.page.reload()
    one.ready()
    ended(one, "background")


def test_a_folder_is_chosen_by_keyboard(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "sitter"
    folder.mkdir()
    for width in (30, 31):
        png(folder / f"{width}.png", width)
    (folder / ".DS_Store").write_text("what a system puts into folders")
    one = visit("upscale")
    one.page.on("filechooser", lambda chooser: None)  # listened for from now on: a key is quicker than that begins
    one.at("#folder-upscale input").focus()
    with one.page.expect_file_chooser() as waiting:
        one.page.keyboard.press("Enter")
    waiting.value.set_files(folder)
    expect(one.at("#files-upscale .file-preview tr")).to_have_count(2)
    expect(one.at("#left-upscale p")).to_have_count(0)
    # More of them, by the field's own button.
    one.at("#files-upscale input[type=file]").set_input_files([png(tmp_path / "more.png", 32)])
    expect(one.at("#go-upscale")).to_have_text("Upscale 3 pictures – 6 credits")


def test_of_more_than_a_job_takes_the_rest_is_named_and_what_was_cancelled_is_tried_again(
    visit: Visit, tmp_path: Path
) -> None:
    names = [f"{number:04}.png" for number in range(1, 204)]
    one = visit("background")
    drop(one, "background", [png(tmp_path / "a.png", 16, 16)] * len(names), names=names)
    expect(one.at("#left-background")).to_have_text(
        "3 left out, since one job has at most 200 pictures: 0201.png, 0202.png, 0203.png."
    )
    expect(one.at("#go-background")).to_have_text("Remove 200 backgrounds – 200 credits")
    one.at("#go-background").click()
    expect(one.at("#refused-background [role=progressbar]")).to_be_visible()
    expect(one.at("#refused-background .said")).to_contain_text("of 200")
    one.at("#tool-background .tool-head[data-state=running] [data-do=halt]").click()
    cancelled = ended(one, "background", "cancelled").get_attribute("data-job")
    again = one.at("#tool-background [data-do=tool_again]")
    expect(again).to_contain_text("again – ")
    again.click()
    one.at(f'#tool-background .tool-head:not([data-job="{cancelled}"]) [data-do=halt]').click()
    ended(one, "background", "cancelled")
    one.tab("jobs")
    expect(one.at(f'#jobs [data-job="{cancelled}"] [data-do=tool_again]')).to_be_visible()
